/* What the command line asks for. Names and defaults are Envoy's where Envoy has the option. */
#ifndef WEIR_SERVER_OPTIONS_H
#define WEIR_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum weir_mode { WEIR_MODE_SERVE, WEIR_MODE_VALIDATE, WEIR_MODE_INIT_ONLY };
enum weir_output { WEIR_OUTPUT_TEXT, WEIR_OUTPUT_JSON };

struct weir_options {
    const char *config_path; // -c
    const char *config_yaml; // --config-yaml, merged over the file
    enum weir_mode mode;
    enum weir_output format; // of diagnostics
    const char *log_level;   // -l
    const char *component_log_level; // "upstream:debug,wasm:trace"
    const char *log_path;
    const char *log_format;
    uint64_t concurrency; // worker threads; 0 = as many as the machine has hardware threads
    bool cpuset_threads;  // concurrency = the CPUs this process may use
    const char *service_cluster, *service_node, *service_zone;
    uint64_t base_id;             // accepted: weir reloads in place and shares no memory between processes
    bool use_dynamic_base_id;
    bool disable_hot_restart;
    uint64_t restart_epoch;
    uint64_t drain_time_s;        // 600; how long connections may finish after a listener went away
    const char *drain_strategy;   // "gradual" or "immediate"
    uint64_t parent_shutdown_time_s;
    uint64_t file_flush_interval_msec; // 10000
    uint64_t file_flush_min_size_kb;   // 64
    const char *admin_address_path;    // the admin's real address is written here
    const char *local_address_ip_version;
    bool allow_unknown_static_fields;
    bool reject_unknown_dynamic_fields, ignore_unknown_dynamic_fields;
    bool skip_deprecated_logs;
    const char *wasm_cache_path; // NULL = the user's cache folder
    uint64_t wasm_memory_max_mib, wasm_deadline_ms, wasm_start_deadline_ms; // 0 = the defaults of wasm/limits.h
    bool wasm_quick_compile;
    bool watch; // reload when the configuration or a file it names changes
};

/** Envoy's defaults. */
void weir_options_init(struct weir_options *options);

#endif
