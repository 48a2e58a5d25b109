namespace          = "training"
project_namespaces = { team-a = "Runs of team A" }
node_pool          = "gpu"
storage_volume     = "cotrain"

console = {
  image      = "registry.example/cotrain:1.0"
  public_url = "https://train.example.com"
  environment = {
    COTRAIN_PROXY_TRUSTED = "10.0.0.0/16"
    COTRAIN_JOB_IMAGE     = "registry.example/cotrain-core:1.4"
  }
}
