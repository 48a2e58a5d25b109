output "server" {
  description = "Part of a server, by the name of the machine."
  value = {
    for name, address in var.servers : name => {
      roles    = ["vault"]
      packages = compact([var.package])
      settings = { VAULT_COMMAND = local.product.command, VAULT_SERVICE = var.product, VAULT_ETC = local.product.etc }
      files = {
        "${local.product.etc}/${local.product.file}" = templatefile("${path.module}/vault.hcl.tftpl", {
          name     = name
          address  = address
          others   = [for other, at in var.servers : at if other != name]
          etc      = local.product.etc
          data_dir = local.product.data_dir
          seal     = trimspace(var.seal)
        })
      }
    }
  }
}

output "address" {
  description = "URL of one server, for workloads and people; any of them answers. Put a name or a load balancer before them for the time when it is away."
  value       = "https://${values(var.servers)[0]}:8200"
}
