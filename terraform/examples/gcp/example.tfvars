project    = "my-project"
gcp_region = "europe-west4"
zones      = ["europe-west4-a", "europe-west4-b", "europe-west4-c"]
image      = "projects/my-project/global/images/family/cluster"
gpu_type   = "a3-highgpu-8g"
nodes      = 4
spot       = true

packages = {
  nomad  = "nomad=1.11.3-1"
  consul = "consul=1.21.5-1"
  vault  = "vault=1.20.4-1"
  gpu    = ["nomad-device-nvidia"]
}
