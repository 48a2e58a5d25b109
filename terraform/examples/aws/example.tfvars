aws_region = "eu-central-1"
zones      = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
image      = "ami-0123456789abcdef0"
gpu_image  = "ami-0fedcba9876543210"
gpu_types  = ["p5.48xlarge", "p4d.24xlarge"]
nodes      = { min = 0, max = 8 }
spot       = true

packages = {
  nomad  = "nomad=1.11.3-1"
  consul = "consul=1.21.5-1"
  vault  = "vault=1.20.4-1"
  gpu    = ["nomad-device-nvidia"]
}

repositories = [
  {
    name  = "cluster"
    uri   = "https://packages.example/apt"
    suite = "stable"
    key   = <<-KEY
      -----BEGIN PGP PUBLIC KEY BLOCK-----

      ...
      -----END PGP PUBLIC KEY BLOCK-----
    KEY
  },
]
