# Only what CoTrain needs in a Vault that is there.
locals {
  ca = var.nomad_ca_file == "" ? "" : file(var.nomad_ca_file)
}

module "cotrain" {
  source = "../../modules/cotrain-vault"

  jwks_url          = "${var.nomad_addr}/.well-known/jwks.json"
  jwks_ca           = local.ca
  namespaces        = var.namespaces
  create_kv         = var.create_kv
  nomad_engine      = var.nomad_engine ? { address = var.nomad_addr, ca = local.ca } : null
  nomad_token       = var.nomad_token
  database          = var.database
  database_password = var.database_password
}
