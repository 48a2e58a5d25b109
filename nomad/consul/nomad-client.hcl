# For the tokens of Nomad's clients. Services of jobs are registered with the tokens of their workload identities.

agent_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

service_prefix "nomad" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}
