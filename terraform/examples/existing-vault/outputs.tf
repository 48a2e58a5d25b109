output "settings" {
  description = "The console's settings that go with it."
  value = {
    COTRAIN_JOB_VAULT_ROLE   = module.cotrain.runs_role
    COTRAIN_VAULT_AUTH_MOUNT = module.cotrain.jwt_mount
  }
}

output "kv_path" {
  description = "Where secrets of runs go: shared/ for all projects, NAMESPACE/ for one."
  value       = module.cotrain.kv_path
}
