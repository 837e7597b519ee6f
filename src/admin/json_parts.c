/* Pieces of JSON that several endpoints print. */
#include "admin/json_parts.h"

#include <stdio.h>
#include <time.h>

void weir_admin_json_address(struct weir_str *out, const struct weir_addr *addr)
{
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_slice name = weir_addr_print_ip(addr, text);
    bool ip = weir_addr_is_ip(addr);
    weir_str_adds(out, ip ? "{\"socket_address\":{\"address\":\"" : "{\"pipe\":{\"path\":\"");
    weir_str_add_json(out, name);
    if (ip)
        weir_str_printf(out, "\",\"port_value\":%u}}", weir_addr_port(addr));
    else
        weir_str_adds(out, "\"}}");
}

void weir_admin_json_time(struct weir_str *out, int64_t wall_ns)
{
    struct tm tm;
    char text[32] = "1970-01-01T00:00:00";
    time_t seconds = (time_t)(wall_ns / 1000000000);
    if (gmtime_r(&seconds, &tm))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    weir_str_printf(out, "\"%s.%03dZ\"", text, (int)(wall_ns / 1000000 % 1000));
}
