servers = {
  server-1 = { address = "198.51.100.11" }
  server-2 = { address = "198.51.100.12" }
  server-3 = { address = "198.51.100.13" }
}

sites = {
  north = {
    machines = { north-1 = { address = "203.0.113.21" }, north-2 = { address = "203.0.113.22" } }
    ranges   = ["203.0.113.16/28"]
  }
  south = {
    machines   = { south-1 = { address = "192.0.2.21" } }
    ranges     = ["192.0.2.16/28"]
    repository = "https://mirror.south.example/apt"
  }
}

operators = ["198.51.100.0/28"]

repository = {
  uri   = "https://packages.example/apt"
  suite = "stable"
  key   = <<-KEY
    -----BEGIN PGP PUBLIC KEY BLOCK-----

    ...
    -----END PGP PUBLIC KEY BLOCK-----
  KEY
}

packages = {
  nomad = "nomad=1.11.3-1"
  gpu   = ["nvidia-driver", "nvidia-container-toolkit", "nomad-device-nvidia"]
}
