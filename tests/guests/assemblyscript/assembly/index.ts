// Registers a root by its root_id; adds a header with the plugin's configuration to each response.
export * from "@solo-io/proxy-runtime/proxy";
import { RootContext, Context, registerRootContext, FilterHeadersStatusValues, stream_context, log, LogLevelValues } from "@solo-io/proxy-runtime";

class GreeterRoot extends RootContext {
  createContext(context_id: u32): Context {
    return new Greeter(context_id, this);
  }
}

class Greeter extends Context {
  constructor(context_id: u32, root: GreeterRoot) {
    super(context_id, root);
  }

  onRequestHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const path = stream_context.headers.request.get(":path");
    log(LogLevelValues.info, "path is " + path);
    stream_context.headers.request.add("x-from-as", path);
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(a: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const root = changetype<RootContext>(this.root_context);
    stream_context.headers.response.add("x-greeting", "hello, " + root.getConfiguration());
    return FilterHeadersStatusValues.Continue;
  }
}

registerRootContext((context_id: u32) => new GreeterRoot(context_id), "greeter_root");
