/* The server as the admin sees it. */
#ifndef WEIR_SERVER_ADMIN_SOURCES_H
#define WEIR_SERVER_ADMIN_SOURCES_H

#include "admin/admin.h"
#include "server/server.h"

/** Makes the process's admin over the server; weir_admin_free it before the server ends. */
struct weir_admin *weir_admin_sources_attach(struct weir_server *server);

#endif
