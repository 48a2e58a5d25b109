mock_provider "vault" {}

variables {
  jwks_url   = "https://nomad.example:4646/.well-known/jwks.json"
  namespaces = ["training", "team-a"]
}

run "runs_log_in_from_their_namespaces" {
  assert {
    condition     = vault_jwt_auth_backend_role.role["cotrain-runs"].bound_claims["nomad_namespace"] == "training,team-a" && length(vault_mount.database) == 0 && length(vault_nomad_secret_backend.nomad) == 0
    error_message = "The role is bound to the namespaces of runs, and nothing is made that was not asked for."
  }
}

run "a_url_without_a_user_is_refused" {
  command = plan

  variables {
    database = { url = "postgres://db.example/cotrain", username = "vault" }
  }

  expect_failures = [var.database]
}
