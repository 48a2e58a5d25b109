# cotrain-console: the console finds Nomad's servers, knows which datacenter is its agent's own, sees nodes with their health, and
# registers itself.
#
# consul_service  name under which it registers; the console's setting consul.service

node_prefix "" {
  policy = "read"
}

service "nomad" {
  policy = "read"
}

# The health of Nomad's clients, which stands beside that of their nodes.
service "nomad-client" {
  policy = "read"
}

agent_prefix "" {
  policy = "read"
}

service "${consul_service}" {
  policy = "write"
}
