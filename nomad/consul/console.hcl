# cotrain-console: the console finds Nomad's servers, knows which datacenter is its agent's own, and registers itself.
#
# consul_service  name under which it registers; the console's setting consul.service

node_prefix "" {
  policy = "read"
}

service "nomad" {
  policy = "read"
}

agent_prefix "" {
  policy = "read"
}

service "${consul_service}" {
  policy = "write"
}
