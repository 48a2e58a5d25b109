output "role" {
  description = "Role of the console's token, where it runs elsewhere: nomad acl token create -name cotrain -role-id ..., straight into Vault or a file."
  value       = nomad_acl_role.console.id
}

output "namespaces" {
  description = "Namespaces of runs."
  value       = sort(local.namespaces)
}

output "secrets" {
  description = "Path of each secret of runs, which an administrator registers in the console."
  value       = { for name, variable in nomad_variable.secret : name => variable.path }
}
