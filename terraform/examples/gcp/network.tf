# A private network: machines have no public addresses, and go out through Cloud NAT.
resource "google_compute_network" "cluster" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "role" {
  for_each = { server = 1, node = 2 }

  name                     = "${var.name}-${each.key}"
  network                  = google_compute_network.cluster.id
  ip_cidr_range            = cidrsubnet(var.cidr, 4, each.value)
  private_ip_google_access = true
}

resource "google_compute_router" "out" {
  name    = var.name
  network = google_compute_network.cluster.id
}

resource "google_compute_router_nat" "out" {
  name                               = var.name
  router                             = google_compute_router.out.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

module "network" {
  source = "../../modules/network"

  servers   = [google_compute_subnetwork.role["server"].ip_cidr_range]
  nodes     = [google_compute_subnetwork.role["node"].ip_cidr_range]
  operators = var.operators
  users     = [var.cidr]
}

resource "google_compute_firewall" "in" {
  for_each = module.network.rules

  name                    = "${var.name}-${each.key}"
  network                 = google_compute_network.cluster.id
  description             = each.value.description
  source_ranges           = each.value.sources
  target_service_accounts = [google_service_account.role[each.value.role].email]

  allow {
    protocol = each.value.protocol
    ports    = [join("-", distinct([tostring(each.value.from_port), tostring(each.value.to_port)]))]
  }
}
