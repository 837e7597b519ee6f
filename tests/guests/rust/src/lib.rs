//! One job a path: what filters do every day, through the Rust SDK.
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root { config: String::new(), queue: 0 }));
}}

struct Root {
    config: String,
    queue: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.get_vm_configuration().map(|c| c == b"{\"vm\":1}".to_vec()).unwrap_or(false)
    }

    fn on_configure(&mut self, _: usize) -> bool {
        self.config = String::from_utf8(self.get_plugin_configuration().unwrap_or_default()).unwrap();
        self.set_tick_period(Duration::from_millis(20));
        self.queue = self.register_shared_queue("mail");
        log::info!("configured with {}; TOKEN={}", self.config, std::env::var("TOKEN").unwrap_or_default());
        true
    }

    fn on_tick(&mut self) {
        let (value, cas) = self.get_shared_data("ticks");
        let n = value.map(|v| u32::from_le_bytes(v.try_into().unwrap())).unwrap_or(0);
        let _ = self.set_shared_data("ticks", Some(&(n + 1).to_le_bytes()), cas);
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(item)) = self.dequeue_shared_queue(queue) {
            log::warn!("queue says {}", String::from_utf8_lossy(&item));
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { path: String::new(), config: self.config.clone(), queue: self.queue, token: 0 }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    path: String,
    config: String,
    queue: u32,
    token: u32,
}

const PROPERTIES: &[&[&str]] = &[
    &["request", "path"],
    &["request", "url_path"],
    &["request", "query"],
    &["request", "host"],
    &["request", "method"],
    &["request", "scheme"],
    &["request", "protocol"],
    &["request", "useragent"],
    &["request", "headers", "x-one"],
    &["plugin_name"],
    &["plugin_root_id"],
    &["plugin_vm_id"],
    &["no", "such", "thing"],
];

impl Stream {
    fn answer(&self, body: String) -> Action {
        self.send_http_response(200, vec![("x-answer", "guest")], Some(body.as_bytes()));
        Action::Pause
    }

    fn text(&self, path: &[&str]) -> String {
        match self.get_property(path.to_vec()) {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "-".into(),
        }
    }

    fn number(&self, path: &[&str]) -> i64 {
        self.get_property(path.to_vec()).map(|v| i64::from_le_bytes(v.try_into().unwrap())).unwrap_or(-1)
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _: usize) {
        assert_eq!(token, self.token);
        let status = self.get_http_call_response_header(":status").unwrap_or_default();
        let body = self.get_http_call_response_body(0, body_size).unwrap_or_default();
        assert_eq!(self.get_http_call_response_headers().len(), headers);
        self.set_http_request_header("x-call", Some(&format!("{} {}", status, String::from_utf8_lossy(&body).trim())));
        if status == "200" {
            self.resume_http_request();
        } else {
            self.send_http_response(403, vec![], Some(b"the call said no"));
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, n: usize, _: bool) -> Action {
        assert_eq!(n, self.get_http_request_headers().len());
        self.path = self.get_http_request_header(":path").unwrap();
        let path = self.path.clone();
        match path.split('?').next().unwrap() {
            "/config" => self.answer(self.config.clone()),
            "/headers" => {
                self.add_http_request_header("x-two", "a");
                self.add_http_request_header("X-Two", "b");
                self.set_http_request_header("x-one", Some("changed"));
                self.set_http_request_header("x-gone", None);
                Action::Continue
            }
            "/replace-all" => {
                let mut all = self.get_http_request_headers();
                all.retain(|(name, _)| name.starts_with(':'));
                all.push(("x-only".into(), "me".into()));
                self.set_http_request_headers(all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect());
                Action::Continue
            }
            "/body" => {
                self.set_http_request_header("content-length", None);
                Action::Continue
            }
            "/call" | "/call-denied" | "/call-nowhere" => {
                let target = if path == "/call-denied" { "/deny" } else { "/allow" };
                let headers = vec![(":method", "GET"), (":path", target), (":authority", "auth")];
                let cluster = if path == "/call-nowhere" { "nowhere" } else { "service" };
                match self.dispatch_http_call(cluster, headers, None, vec![], Duration::from_secs(5)) {
                    Ok(token) => {
                        self.token = token;
                        Action::Pause
                    }
                    Err(status) => self.answer(format!("{status:?}")),
                }
            }
            "/properties" => self.answer(PROPERTIES.iter().map(|p| format!("{}={}\n", p.join("."), self.text(p))).collect()),
            "/ticks" => {
                let (value, _) = self.get_shared_data("ticks");
                self.answer(format!("{}", value.map(|v| u32::from_le_bytes(v.try_into().unwrap())).unwrap_or(0)))
            }
            "/metric" => {
                let id = proxy_wasm::hostcalls::define_metric(MetricType::Counter, "everyday_count").unwrap();
                let gauge = proxy_wasm::hostcalls::define_metric(MetricType::Gauge, "everyday_gauge").unwrap();
                let histogram = proxy_wasm::hostcalls::define_metric(MetricType::Histogram, "everyday_histogram").unwrap();
                proxy_wasm::hostcalls::increment_metric(id, 3).unwrap();
                proxy_wasm::hostcalls::record_metric(gauge, 42).unwrap();
                proxy_wasm::hostcalls::record_metric(histogram, 7).unwrap();
                self.answer(format!("{}", proxy_wasm::hostcalls::get_metric(gauge).unwrap()))
            }
            "/queue" => {
                let _ = self.enqueue_shared_queue(self.queue, Some(b"hello queue"));
                self.answer("sent".into())
            }
            "/state" => {
                self.set_property(vec!["mine", "too"], Some(b"kept"));
                self.answer(self.text(&["mine", "too"]))
            }
            _ => Action::Continue,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if self.path != "/body" {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, usize::MAX).unwrap_or_default();
        assert_eq!(body.len(), size);
        let text = String::from_utf8(body).unwrap().to_uppercase();
        self.set_http_request_body(0, size, format!("[{text}]").as_bytes());
        Action::Continue
    }

    fn on_http_response_headers(&mut self, n: usize, _: bool) -> Action {
        assert_eq!(n, self.get_http_response_headers().len());
        if self.path == "/body" {
            self.set_http_response_header("content-length", None);
        }
        // Envoy answers BadArgument here, and the SDK panics: request headers can be read for the whole life of a stream.
        let host = self.get_http_request_header(":authority").unwrap_or_default();
        let code = self.number(&["response", "code"]);
        let cluster = self.text(&["xds", "cluster_name"]);
        self.add_http_response_header("x-seen", &format!("{host} {code} {cluster}"));
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.path != "/body" {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, size).unwrap_or_default();
        self.set_http_response_body(0, size, format!("<{}>", String::from_utf8_lossy(&body)).as_bytes());
        Action::Continue
    }

    fn on_log(&mut self) {
        log::debug!("log {} {} {}", self.path, self.text(&["request", "method"]), self.number(&["response", "code"]));
    }
}
