mock_provider "consul" {}

run "a_console_with_a_token_has_a_policy" {
  assert {
    condition     = strcontains(consul_acl_policy.console.rules, "service \"cotrain\"") && length(consul_acl_auth_method.nomad) == 0
    error_message = "The policy is all that it needs."
  }
}

run "a_job_logs_in_by_its_identity" {
  variables {
    job = { jwks_url = "https://nomad.example:4646/.well-known/jwks.json", jwks_ca = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" }
  }

  assert {
    condition     = jsondecode(consul_acl_auth_method.nomad[0].config_json).JWKSCACert == var.job.jwks_ca && strcontains(consul_acl_binding_rule.console[0].selector, "\"cotrain\"")
    error_message = "The method trusts Nomad's keys, and the rule is for the console's job."
  }
}

run "keys_are_where_nomad_has_them" {
  command = plan

  variables {
    job = { jwks_url = "https://nomad.example:4646" }
  }

  expect_failures = [var.job]
}
