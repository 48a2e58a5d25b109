variables {
  servers = { server-1 = "10.0.0.1", server-2 = "10.0.0.2", server-3 = "10.0.0.3" }
  package = "vault=1.20.4-1"
}

run "servers_join_the_others_by_tls" {
  command = plan

  assert {
    condition     = length(regexall("leader_api_addr +=", output.server["server-1"].files["/etc/vault.d/vault.hcl"])) == 2 && !strcontains(output.server["server-1"].files["/etc/vault.d/vault.hcl"], "tls_disable")
    error_message = "A server joins the two others."
  }
}

run "openbao_has_other_places" {
  command = plan

  variables {
    product = "openbao"
    package = ""
    seal    = "seal \"static\" {}"
  }

  assert {
    condition     = strcontains(output.server["server-2"].files["/etc/openbao/openbao.hcl"], "seal \"static\"") && length(output.server["server-2"].packages) == 0
    error_message = "OpenBao's configuration is elsewhere, and its package comes from the image."
  }
}

run "names_are_no_addresses" {
  command = plan

  variables {
    servers = { server-1 = "server-1.example" }
  }

  expect_failures = [var.servers]
}
