servers = {
  server-1 = { address = "10.0.0.11" }
  server-2 = { address = "10.0.0.12" }
  server-3 = { address = "10.0.0.13" }
}

nodes = {
  gpu-1 = { address = "10.0.0.21", zone = "rack-1" }
  gpu-2 = { address = "10.0.0.22", zone = "rack-2" }
}

operators = ["10.0.0.0/24"]
users     = ["10.0.0.0/16"]
ssh       = { user = "admin" }

# Where packages are mirrored, and the key that signs them there.
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

packages = {
  nomad  = "nomad=1.11.3-1"
  consul = "consul=1.21.5-1"
  vault  = "vault=1.20.4-1"
  gpu    = ["nvidia-driver", "nvidia-container-toolkit", "nomad-device-nvidia"]
}
