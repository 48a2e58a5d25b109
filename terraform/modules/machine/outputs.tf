output "script" {
  description = "Shell script that makes the machine what it is, for cloud-init or any shell of root. It holds no secret, and may run again."
  value       = local.script
}

output "ready" {
  description = "Changes when the machine was configured over ssh; to wait for it."
  value       = one(terraform_data.configuration[*].id)
}
