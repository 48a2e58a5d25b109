locals {
  products = {
    vault   = { command = "vault", etc = "/etc/vault.d", data_dir = "/opt/vault/data", file = "vault.hcl" }
    openbao = { command = "bao", etc = "/etc/openbao", data_dir = "/opt/openbao/data", file = "openbao.hcl" }
  }
  product = local.products[var.product]
}
