/* Raw requests and what they must give. */
static const struct raw_case request_cases[] = {
    C("get", GET(""), ">GET / a{}.;"),
    C("two pipelined", GET("") GET("x: 1\r\n"), ">GET / a{}.;>GET / a{x: 1}.;"),
    C("post with length", POST("Content-Length: 3\r\n") "abc" GET(""),
      ">POST / a{content-length: 3}\"abc\".;>GET / a{}.;"),
    C("chunked", CHUNKED("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") GET(""), CHUNKED_HEAD "\"abcde\".;>GET / a{}.;"),
    C("cl and te", POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "abc",
      "!400 http1.content_length_and_chunked_not_allowedG;"),
    C("te and cl", POST("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") "abc",
      "!400 http1.content_length_and_chunked_not_allowedG;"),
    C("lf lines", "GET / HTTP/1.1\nHost: a\nX: y\n\n", ">GET / a{x: y}.;"),
    C("fold", GET("X: a\r\n  b \r\n\tc\r\nY: d\r\n"), ">GET / a{x: a b c; y: d}.;"),
    C("bare cr", GET("X: a\rb\r\n"), BAD),
    C("tls hello", "\x16\x03\x01\x02", BAD),
    C("http10", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "!426 low_versionG;"),
};
