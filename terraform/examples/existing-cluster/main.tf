# Only what CoTrain needs on a Nomad that is there.
module "cotrain" {
  source = "../../modules/cotrain"

  namespace          = var.namespace
  project_namespaces = var.project_namespaces
  node_pool          = var.node_pool
  storage_volume     = var.storage_volume
  secrets            = var.secrets
  secret_versions    = var.secret_versions
  console            = var.console
}
