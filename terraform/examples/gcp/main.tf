locals {
  # Fixed addresses: a server that is replaced comes back where the others look for it.
  servers = {
    for index in range(3) : "server-${index + 1}" => {
      zone    = var.zones[index % length(var.zones)]
      address = cidrhost(google_compute_subnetwork.role["server"].ip_cidr_range, 10 + index)
    }
  }
  addresses = { for name, server in local.servers : name => server.address }
}

module "consul" {
  source = "../../modules/consul"

  servers   = values(local.addresses)
  addresses = local.addresses
  package   = var.packages.consul
}

module "vault" {
  source = "../../modules/vault"

  servers = local.addresses
  package = var.packages.vault
  seal    = <<-HCL
    seal "gcpckms" {
      project    = "${var.project}"
      region     = "${var.gcp_region}"
      key_ring   = "${google_kms_key_ring.cluster.name}"
      crypto_key = "${google_kms_crypto_key.vault.name}"
    }
  HCL
}

module "servers" {
  source = "../../modules/nomad-servers"

  cluster       = var.name
  machines      = { for name, address in local.addresses : name => { address = address } }
  parts         = [module.consul.server, module.vault.server]
  package       = var.packages.nomad
  packages      = ["curl", "jq"]
  repositories  = var.repositories
  vault_address = module.vault.address
  consul        = true
  keys          = { get = local.get["server"], put = local.put["server"], nodes_put = local.put["node"] }
  # The store's nodes renew before that.
  certificate_days = 30
}

module "nodes" {
  source = "../../modules/gpu-clients"

  cluster            = module.servers.cluster
  zone               = var.zones[0]
  parts              = [module.consul.client]
  package            = var.packages.nomad
  gpu_packages       = var.packages.gpu
  container_packages = var.packages.docker
  packages           = ["curl", "jq"]
  repositories       = var.repositories
  vault_address      = module.vault.address
  consul             = true
  keys_get           = local.get["node"]
  # Google announces the end by shutting the machine down, which drains it by itself.
  drain = { deadline = var.spot ? 1 : 10, save = var.spot ? 20 : 300 }
}

resource "google_compute_instance" "server" {
  for_each = local.servers

  name                      = "${var.name}-${each.key}"
  machine_type              = var.server_type
  zone                      = each.value.zone
  metadata_startup_script   = module.servers.scripts[each.key]
  allow_stopping_for_update = true

  boot_disk {
    initialize_params {
      image = var.image
      size  = 50
      type  = "pd-balanced"
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.role["server"].id
    network_ip = each.value.address
  }

  service_account {
    email  = google_service_account.role["server"].email
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot = true
  }

  metadata = {
    block-project-ssh-keys = true
  }

  depends_on = [google_secret_manager_secret_iam_member.access, google_compute_router_nat.out]

  lifecycle {
    # A new image or script counts for servers that are replaced, one after the other: terraform apply -replace='google_compute_instance.server["server-1"]'.
    ignore_changes = [boot_disk[0].initialize_params[0].image, metadata_startup_script]
  }
}

resource "google_compute_instance_template" "gpu" {
  name_prefix             = "${var.name}-gpu-"
  machine_type            = var.gpu_type
  metadata_startup_script = module.nodes.script

  disk {
    source_image = coalesce(var.gpu_image, var.image)
    disk_size_gb = var.disk_gb
    disk_type    = "pd-ssd"
    boot         = true
  }

  network_interface {
    subnetwork = google_compute_subnetwork.role["node"].id
  }

  service_account {
    email  = google_service_account.role["node"].email
    scopes = ["cloud-platform"]
  }

  dynamic "guest_accelerator" {
    for_each = var.accelerator == null ? [] : [var.accelerator]
    content {
      type  = guest_accelerator.value.type
      count = guest_accelerator.value.count
    }
  }

  # GPUs do not move from host to host.
  scheduling {
    on_host_maintenance         = "TERMINATE"
    automatic_restart           = !var.spot
    preemptible                 = var.spot
    provisioning_model          = var.spot ? "SPOT" : "STANDARD"
    instance_termination_action = var.spot ? "STOP" : null
  }

  metadata = {
    block-project-ssh-keys = true
  }

  lifecycle {
    create_before_destroy = true
  }
}

# A machine that ends is replaced. One that is deleted is shut down first, which drains it.
resource "google_compute_instance_group_manager" "gpu" {
  name               = "${var.name}-gpu"
  zone               = var.zones[0]
  base_instance_name = "${var.name}-gpu"
  target_size        = var.nodes

  version {
    instance_template = google_compute_instance_template.gpu.self_link_unique
  }

  # Nodes take a new template when they are replaced, not before.
  update_policy {
    type                  = "OPPORTUNISTIC"
    minimal_action        = "REPLACE"
    max_surge_fixed       = 0
    max_unavailable_fixed = 1
  }

  depends_on = [google_secret_manager_secret_iam_member.access, google_compute_router_nat.out]
}
