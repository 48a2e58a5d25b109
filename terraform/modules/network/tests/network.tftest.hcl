variables {
  servers   = ["10.0.0.0/28"]
  nodes     = ["10.0.1.0/24", "10.0.2.0/24"]
  operators = ["10.0.9.0/24"]
}

run "nobody_else_gets_in" {
  command = plan

  assert {
    condition     = toset(output.rules["server-nomad-gossip-tcp"].sources) == toset(["10.0.0.0/28"])
    error_message = "Only servers gossip with servers."
  }

  assert {
    condition     = alltrue([for rule in values(output.rules) : !contains(rule.sources, "0.0.0.0/0")])
    error_message = "A rule lets the Internet in."
  }

  assert {
    condition     = !contains(keys(output.rules), "node-console") && !contains(keys(output.rules), "server-consul-gossip-wan-tcp")
    error_message = "A rule without sources is none."
  }

  assert {
    condition     = strcontains(output.part.node.files["/etc/cotrain-cluster/firewall.nft"], "ip saddr 10.0.2.0/24 tcp dport 1024-65535") && !strcontains(output.part.node.files["/etc/cotrain-cluster/firewall.nft"], "dport 4647")
    error_message = "nftables of a node have the rules of nodes."
  }
}

run "operators_are_not_everybody" {
  command = plan

  variables {
    operators = ["0.0.0.0/0"]
  }

  expect_failures = [var.operators]
}
