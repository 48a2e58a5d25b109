variables {
  servers   = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
  addresses = { server-1 = "10.0.0.1", gpu-1 = "10.0.0.9" }
  package   = "consul=1.21.5-1"
}

run "agents_have_tls_and_rights" {
  command = plan

  assert {
    condition     = alltrue([for part in concat(values(output.server), values(output.client)) : strcontains(part.files["/etc/consul.d/consul.hcl"], "verify_incoming = true") && strcontains(part.files["/etc/consul.d/consul.hcl"], "default_policy           = \"deny\"")])
    error_message = "An agent takes anybody."
  }

  assert {
    condition     = strcontains(output.server["server-1"].files["/etc/consul.d/consul.hcl"], "bootstrap_expect   = 3") && !strcontains(output.client["gpu-1"].files["/etc/consul.d/consul.hcl"], "bootstrap_expect")
    error_message = "Only servers elect."
  }

  assert {
    condition     = !strcontains(join("", flatten([for part in values(output.client) : values(part.files)])), "encrypt")
    error_message = "Keys are no configuration of Terraform's."
  }
}

run "an_even_number_of_servers_is_refused" {
  command = plan

  variables {
    servers = ["10.0.0.1", "10.0.0.2"]
  }

  expect_failures = [var.servers]
}
