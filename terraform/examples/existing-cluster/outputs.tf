output "role" {
  description = "Role of the console's token, where it runs elsewhere."
  value       = module.cotrain.role
}

output "namespaces" {
  description = "Namespaces of runs."
  value       = module.cotrain.namespaces
}

output "secrets" {
  description = "Path of each secret of runs, which an administrator registers in the console."
  value       = module.cotrain.secrets
}
