/* Shared data and queues (proxy-wasm-cpp-host src/shared_data.cc, shared_queue.cc), with limits. One mutex: the operations
 * are short, and guests that share data under load pay for each other, not the workers at large.
 *
 * A vm_id's data lives as long as a VM with that id does, on any thread. Queues live as long as the vm_id of their registrar. */
#include "wasm/shared.h"

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "wasm/limits.h"

struct entry {
    char *key;
    size_t key_len;
    char *value;
    size_t len;
    uint32_t cas;
};

struct item {
    struct weir_list link;
    size_t len;
    char data[];
};

struct queue {
    struct weir_list link; /* in its domain */
    uint32_t id;
    char *name;
    size_t name_len;
    struct weir_list items;
    uint32_t n_items;
    size_t bytes;
    struct weir_wasm_queue_owner owner;
    bool owned;
};

/* What belongs to one vm_id. */
struct domain {
    struct weir_list link;
    char *vm_id;
    size_t vm_id_len;
    uint32_t n_vms;
    struct weir_map entries; /* key -> entry */
    size_t bytes;
    struct weir_list queues;
};

struct weir_wasm_shared {
    pthread_mutex_t mutex;
    struct weir_list domains;
    struct queue *queues[WEIR_WASM_QUEUES_MAX]; /* by id - 1 */
    uint32_t n_queues;
    uint32_t last_cas;
};

struct weir_wasm_shared *weir_wasm_shared_new(void)
{
    struct weir_wasm_shared *shared = WEIR_NEW(struct weir_wasm_shared);
    pthread_mutex_init(&shared->mutex, NULL);
    weir_list_init(&shared->domains);
    return shared;
}

static void free_entry(struct entry *entry)
{
    weir_free(entry->key);
    weir_free(entry->value);
    weir_free(entry);
}

static void free_queue(struct weir_wasm_shared *shared, struct queue *queue)
{
    WEIR_LIST_EACH(&queue->items, it) weir_free(WEIR_CONTAINER_OF(it, struct item, link));
    shared->queues[queue->id - 1] = NULL;
    weir_free(queue->name);
    weir_free(queue);
}

static void free_domain(struct weir_wasm_shared *shared, struct domain *domain)
{
    size_t iter = 0;
    struct weir_slice key;
    void *value;
    while (weir_map_next(&domain->entries, &iter, &key, &value)) free_entry(value);
    weir_map_fini(&domain->entries);
    WEIR_LIST_EACH(&domain->queues, it) free_queue(shared, WEIR_CONTAINER_OF(it, struct queue, link));
    weir_list_unlink(&domain->link);
    weir_free(domain->vm_id);
    weir_free(domain);
}

void weir_wasm_shared_free(struct weir_wasm_shared *shared)
{
    if (!shared) return;
    WEIR_LIST_EACH(&shared->domains, it) free_domain(shared, WEIR_CONTAINER_OF(it, struct domain, link));
    pthread_mutex_destroy(&shared->mutex);
    weir_free(shared);
}

static struct domain *find_domain(struct weir_wasm_shared *shared, struct weir_slice vm_id)
{
    WEIR_LIST_EACH(&shared->domains, it)
    {
        struct domain *domain = WEIR_CONTAINER_OF(it, struct domain, link);
        if (weir_slice_eq(weir_slice(domain->vm_id, domain->vm_id_len), vm_id)) return domain;
    }
    return NULL;
}

void weir_wasm_shared_vm_begin(struct weir_wasm_shared *shared, struct weir_slice vm_id)
{
    pthread_mutex_lock(&shared->mutex);
    struct domain *domain = find_domain(shared, vm_id);
    if (!domain) {
        domain = WEIR_NEW(struct domain);
        domain->vm_id = weir_xstrndup(vm_id.len ? vm_id.ptr : "", vm_id.len);
        domain->vm_id_len = vm_id.len;
        weir_map_init(&domain->entries);
        weir_list_init(&domain->queues);
        weir_list_push_back(&shared->domains, &domain->link);
    }
    domain->n_vms++;
    pthread_mutex_unlock(&shared->mutex);
}

void weir_wasm_shared_vm_end(struct weir_wasm_shared *shared, struct weir_slice vm_id, uint64_t vm_serial)
{
    pthread_mutex_lock(&shared->mutex);
    for (uint32_t i = 0; i < shared->n_queues; i++)
        if (shared->queues[i] && shared->queues[i]->owner.vm_serial == vm_serial) shared->queues[i]->owned = false;
    struct domain *domain = find_domain(shared, vm_id);
    if (domain && --domain->n_vms == 0) free_domain(shared, domain);
    pthread_mutex_unlock(&shared->mutex);
}

/* ---- data ---- */

enum weir_wasm_status weir_wasm_shared_get(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key,
                                           struct weir_str *ret, uint32_t *ret_cas)
{
    pthread_mutex_lock(&shared->mutex);
    struct domain *domain = find_domain(shared, vm_id);
    const struct entry *entry = domain ? weir_map_get(&domain->entries, key) : NULL;
    if (entry) {
        weir_str_add(ret, weir_slice(entry->value, entry->len));
        *ret_cas = entry->cas;
    }
    pthread_mutex_unlock(&shared->mutex);
    return entry ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
}

static struct entry *add_entry(struct domain *domain, struct weir_slice key)
{
    struct entry *entry = WEIR_NEW(struct entry);
    entry->key = weir_xstrndup(key.len ? key.ptr : "", key.len);
    entry->key_len = key.len;
    (void)weir_map_set(&domain->entries, weir_slice(entry->key, key.len), entry);
    domain->bytes += key.len;
    return entry;
}

static enum weir_wasm_status set_entry(struct weir_wasm_shared *shared, struct domain *domain, struct weir_slice key,
                                       struct weir_slice value, uint32_t cas)
{
    struct entry *entry = weir_map_get(&domain->entries, key);
    if (entry && cas != 0 && cas != entry->cas) return WEIR_WASM_CAS_MISMATCH; /* a missing key matches any number */
    size_t bytes = domain->bytes + value.len + (entry ? 0 : key.len) - (entry ? entry->len : 0);
    if (bytes > WEIR_WASM_SHARED_BYTES_MAX || (!entry && domain->entries.len >= WEIR_WASM_SHARED_ENTRIES_MAX))
        return WEIR_WASM_INTERNAL_FAILURE;
    if (!entry) entry = add_entry(domain, key);
    weir_free(entry->value);
    domain->bytes += value.len - entry->len;
    entry->value = weir_xstrndup(value.len ? value.ptr : "", value.len);
    entry->len = value.len;
    if (++shared->last_cas == 0) shared->last_cas = 1;
    entry->cas = shared->last_cas;
    return WEIR_WASM_OK;
}

enum weir_wasm_status weir_wasm_shared_set(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key,
                                           struct weir_slice value, uint32_t cas)
{
    pthread_mutex_lock(&shared->mutex);
    struct domain *domain = find_domain(shared, vm_id);
    enum weir_wasm_status status =
        domain ? set_entry(shared, domain, key, value, cas) : WEIR_WASM_INTERNAL_FAILURE;
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum weir_wasm_status weir_wasm_shared_delete(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice key)
{
    pthread_mutex_lock(&shared->mutex);
    struct domain *domain = find_domain(shared, vm_id);
    struct entry *entry = domain ? weir_map_remove(&domain->entries, key) : NULL;
    if (entry) {
        domain->bytes -= entry->key_len + entry->len;
        free_entry(entry);
    }
    pthread_mutex_unlock(&shared->mutex);
    return entry ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
}

/* ---- queues ---- */

static struct queue *find_queue(const struct domain *domain, struct weir_slice name)
{
    WEIR_LIST_EACH(&domain->queues, it)
    {
        struct queue *queue = WEIR_CONTAINER_OF(it, struct queue, link);
        if (weir_slice_eq(weir_slice(queue->name, queue->name_len), name)) return queue;
    }
    return NULL;
}

static struct queue *add_queue(struct weir_wasm_shared *shared, struct domain *domain, struct weir_slice name)
{
    if (shared->n_queues == WEIR_WASM_QUEUES_MAX) return NULL; /* ids are never used again */
    struct queue *queue = WEIR_NEW(struct queue);
    queue->id = ++shared->n_queues;
    queue->name = weir_xstrndup(name.len ? name.ptr : "", name.len);
    queue->name_len = name.len;
    weir_list_init(&queue->items);
    weir_list_push_back(&domain->queues, &queue->link);
    shared->queues[queue->id - 1] = queue;
    return queue;
}

enum weir_wasm_status weir_wasm_queue_register(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice name,
                                               const struct weir_wasm_queue_owner *owner, uint32_t *ret_id)
{
    pthread_mutex_lock(&shared->mutex);
    struct domain *domain = find_domain(shared, vm_id);
    struct queue *queue = domain ? find_queue(domain, name) : NULL;
    if (domain && !queue) queue = add_queue(shared, domain, name);
    if (queue) {
        queue->owned = owner != NULL;
        if (owner) queue->owner = *owner;
        *ret_id = queue->id;
    }
    pthread_mutex_unlock(&shared->mutex);
    return queue ? WEIR_WASM_OK : WEIR_WASM_INTERNAL_FAILURE;
}

enum weir_wasm_status weir_wasm_queue_resolve(struct weir_wasm_shared *shared, struct weir_slice vm_id, struct weir_slice name,
                                              uint32_t *ret_id)
{
    pthread_mutex_lock(&shared->mutex);
    const struct domain *domain = find_domain(shared, vm_id);
    const struct queue *queue = domain ? find_queue(domain, name) : NULL;
    if (queue) *ret_id = queue->id;
    pthread_mutex_unlock(&shared->mutex);
    return queue ? WEIR_WASM_OK : WEIR_WASM_NOT_FOUND;
}

static struct queue *queue_by_id(struct weir_wasm_shared *shared, uint32_t id)
{
    return id >= 1 && id <= shared->n_queues ? shared->queues[id - 1] : NULL;
}

static enum weir_wasm_status push(struct weir_wasm_shared *shared, uint32_t id, struct weir_slice data)
{
    struct queue *queue = queue_by_id(shared, id);
    if (!queue) return WEIR_WASM_NOT_FOUND;
    if (queue->n_items >= WEIR_WASM_QUEUE_ITEMS_MAX || queue->bytes + data.len > WEIR_WASM_QUEUE_BYTES_MAX)
        return WEIR_WASM_INTERNAL_FAILURE;
    struct item *item = weir_xalloc(sizeof *item + data.len);
    *item = (struct item){.len = data.len};
    if (data.len > 0) memcpy(item->data, data.ptr, data.len);
    weir_list_push_back(&queue->items, &item->link);
    queue->n_items++;
    queue->bytes += data.len;
    if (queue->owned) queue->owner.notify(queue->owner.arg, queue->owner.vm_serial, queue->owner.root_id, id);
    return WEIR_WASM_OK;
}

enum weir_wasm_status weir_wasm_queue_push(struct weir_wasm_shared *shared, uint32_t id, struct weir_slice item)
{
    pthread_mutex_lock(&shared->mutex);
    enum weir_wasm_status status = push(shared, id, item);
    pthread_mutex_unlock(&shared->mutex);
    return status;
}

enum weir_wasm_status weir_wasm_queue_pop(struct weir_wasm_shared *shared, uint32_t id, struct weir_str *ret)
{
    pthread_mutex_lock(&shared->mutex);
    struct queue *queue = queue_by_id(shared, id);
    struct weir_list *first = queue ? weir_list_first(&queue->items) : NULL;
    if (first) {
        struct item *item = WEIR_CONTAINER_OF(first, struct item, link);
        weir_list_unlink(first);
        queue->n_items--;
        queue->bytes -= item->len;
        weir_str_add(ret, weir_slice(item->data, item->len));
        weir_free(item);
    }
    pthread_mutex_unlock(&shared->mutex);
    if (!queue) return WEIR_WASM_NOT_FOUND;
    return first ? WEIR_WASM_OK : WEIR_WASM_EMPTY;
}
