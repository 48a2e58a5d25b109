variables {
  name         = "north"
  cluster      = { servers = ["198.51.100.11"] }
  ranges       = ["203.0.113.16/28"]
  other_ranges = ["192.0.2.16/28"]
  package      = "nomad=1.11.3-1"
  gpu_packages = []
  keys_get     = "store get"
}

run "both_ends_open_what_is_needed" {
  command = plan

  assert {
    condition     = keys(output.server_rules) == ["north-server-nomad-rpc", "north-server-vault-api"] && output.server_rules["north-server-nomad-rpc"].sources == tolist(["203.0.113.16/28"])
    error_message = "The servers let the site in, and no further."
  }

  assert {
    condition     = contains(output.node_rules["node-workers"].sources, "192.0.2.16/28")
    error_message = "Workers of other sites reach those of this one."
  }

  assert {
    condition     = strcontains(output.script, "datacenter = \"north\"")
    error_message = "A site is a datacenter of Nomad."
  }
}

run "a_site_is_somewhere" {
  command = plan

  variables {
    ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.ranges]
}
