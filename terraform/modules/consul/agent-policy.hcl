# consul-agent: what Consul's own agents need; one token for all servers, and for nodes whose names nobody knows before.

node_prefix "" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
