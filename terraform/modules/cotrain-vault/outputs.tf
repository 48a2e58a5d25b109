output "jwt_mount" {
  description = "Where Vault's JWT method for Nomad is; the console's setting vault.auth_mount."
  value       = vault_jwt_auth_backend.nomad.path
}

output "runs_role" {
  description = "Role of runs; the console's setting job.vault_role."
  value       = vault_jwt_auth_backend_role.role["cotrain-runs"].role_name
}

output "kv_path" {
  description = "Where secrets of runs go: shared/ for all projects, NAMESPACE/ for one."
  value       = "${var.kv_mount}/cotrain"
}
