# For the tokens of Nomad's servers. With workload identity they make no tokens, so that acl is not among their rights.

agent_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

service_prefix "nomad" {
  policy = "write"
}
