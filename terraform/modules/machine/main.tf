locals {
  roles = distinct(flatten(var.parts[*].roles))
  role  = anytrue([for role in local.roles : role == "vault" || endswith(role, "-server")]) ? "server" : "node"

  # cotrain-cluster runs with "set -u": each setting has a value.
  settings = merge({
    CLUSTER           = var.cluster
    MACHINE           = var.name
    ADDRESS           = var.address
    REGION            = var.region
    FIRST             = var.first ? "1" : "0"
    ROLES             = join(" ", local.roles)
    PACKAGES          = join(" ", distinct(concat(["ca-certificates", "openssl", "procps"], var.packages, flatten(var.parts[*].packages))))
    KEYS_GET          = var.keys.get
    KEYS_PUT          = var.keys.put
    NODES_PUT         = ""
    NODE_POOL         = "default"
    INTRO_TTL         = "30m"
    CERTIFICATE_DAYS  = "365"
    CONSUL_DATACENTER = "dc1"
    VAULT_COMMAND     = ""
    VAULT_SERVICE     = ""
    VAULT_ETC         = ""
    DATA_DIR          = "/opt/nomad/data"
    PLUGIN_DIR        = "/opt/nomad/plugins"
    DRAIN_SECONDS     = "0"
    SAVE_SECONDS      = "0"
    INTERRUPTED       = ""
    DRAINED           = ""
  }, var.parts[*].settings...)

  repositories = {
    for r in var.repositories : "/etc/apt/sources.list.d/cotrain-${r.name}.sources" => join("\n", concat([
      "Types: deb",
      "URIs: ${r.uri}",
      "Suites: ${r.suite}",
      # A suite that ends with a slash is a folder, and has no components.
      ], endswith(r.suite, "/") ? [] : ["Components: ${join(" ", r.components)}"], [
      "Signed-By:",
    ], [for line in split("\n", trimspace(r.key)) : trimspace(line) == "" ? " ." : " ${line}"], [""]))
  }

  files = merge({
    for unit in fileset("${path.module}/units", "*") : "/etc/systemd/system/${unit}" => file("${path.module}/units/${unit}")
    }, {
    "/etc/cotrain-cluster/machine.env" = join("", [
      for setting, value in local.settings : "${setting}='${replace(value, "'", "'\\''")}'\n"
    ])
  }, local.repositories, var.parts[*].files...)

  script = templatefile("${path.module}/machine.sh.tftpl", {
    name    = var.name
    files   = local.files
    program = file("${path.module}/cotrain-cluster.sh")
  })

  ssh = var.ssh == null ? null : {
    command = join(" ", concat(["ssh", "-o BatchMode=yes", "-o ConnectTimeout=10", "-p ${var.ssh.port}"], var.ssh.options))
    become  = var.ssh.user == "root" ? "" : "sudo"
    target  = "${var.ssh.user}@${coalesce(var.ssh.host, var.address)}"
  }
}

# The machine itself: when it goes, it is drained and forgets its keys.
resource "terraform_data" "machine" {
  count = var.ssh == null ? 0 : 1

  input            = merge(local.ssh, { name = var.name })
  triggers_replace = [local.ssh.target, var.generation]

  provisioner "local-exec" {
    when    = destroy
    command = "sh '${path.module}/provision.sh'"
    environment = {
      SSH    = self.output.command
      BECOME = self.output.become
      TARGET = self.output.target
      NAME   = self.output.name
      SCRIPT = ""
    }
  }
}

# What is on it: whenever that changes it is configured anew, without a drain.
resource "terraform_data" "configuration" {
  count = var.ssh == null ? 0 : 1

  triggers_replace = [terraform_data.machine[0].id, sha256(local.script), filesha256("${path.module}/provision.sh")]

  provisioner "local-exec" {
    command = "sh '${path.module}/provision.sh'"
    environment = {
      SSH    = local.ssh.command
      BECOME = local.ssh.become
      TARGET = local.ssh.target
      NAME   = var.name
      ROLE   = local.role
      FIRST  = var.first ? "1" : "0"
      PEERS  = join(" ", var.ssh.peers)
      POOL   = local.settings.NODE_POOL
      SCRIPT = local.script
    }
  }
}
