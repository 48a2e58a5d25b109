locals {
  nomad      = "${path.module}/../../../nomad"
  namespaces = toset(concat([var.namespace], keys(var.project_namespaces)))
  # The policies of the first namespace have no suffix: "cotrain cluster setup" names them so, too.
  suffix = { for name in local.namespaces : name => name == var.namespace ? "" : "-${name}" }
  job    = var.console == null ? [] : [var.console.namespace]
}

resource "nomad_namespace" "runs" {
  for_each = merge(var.namespace == "default" ? {} : { (var.namespace) = "Runs of CoTrain" }, var.project_namespaces)

  name        = each.key
  description = each.value
}

resource "nomad_namespace" "console" {
  for_each = toset(local.job)

  name        = each.key
  description = "The console of CoTrain, and nothing else: jobs here have its rights"
}

resource "nomad_node_pool" "gpu" {
  count = var.node_pool == "" ? 0 : 1

  name        = var.node_pool
  description = "GPU nodes for training"
}

# The console as a job has these rights by its workload identity; elsewhere a token with the role below does.
resource "nomad_acl_policy" "console" {
  for_each = local.namespaces

  name        = "cotrain-console${local.suffix[each.key]}"
  description = "CoTrain's console in the namespace ${each.key}"
  rules_hcl = (each.key == var.namespace
    ? templatefile("${local.nomad}/policies/console.hcl", { namespace = each.key })
    : templatefile("${local.nomad}/policies/project.hcl", { namespace = each.key })
  )

  dynamic "job_acl" {
    for_each = local.job
    content {
      namespace = nomad_namespace.console[job_acl.value].name
      job_id    = "cotrain"
    }
  }

  depends_on = [nomad_namespace.runs]
}

resource "nomad_acl_policy" "storage" {
  count = var.storage_volume == "" ? 0 : 1

  name        = "cotrain-storage"
  description = "CoTrain's console uses shared storage"
  rules_hcl   = templatefile("${local.nomad}/policies/storage.hcl", { storage_volume = var.storage_volume })

  dynamic "job_acl" {
    for_each = local.job
    content {
      namespace = nomad_namespace.console[job_acl.value].name
      job_id    = "cotrain"
    }
  }
}

resource "nomad_acl_policy" "runs" {
  for_each = local.namespaces

  name        = "cotrain-runs${local.suffix[each.key]}"
  description = "Runs of CoTrain read their secrets in the namespace ${each.key}"
  rules_hcl   = templatefile("${local.nomad}/policies/runs.hcl", { namespace = each.key })

  job_acl {
    namespace = each.key
  }

  depends_on = [nomad_namespace.runs]
}

resource "nomad_acl_role" "console" {
  name        = "cotrain-console"
  description = "CoTrain's console"

  dynamic "policy" {
    for_each = concat(values(nomad_acl_policy.console)[*].name, nomad_acl_policy.storage[*].name)
    content {
      name = policy.value
    }
  }
}

resource "nomad_variable" "secret" {
  for_each = var.secret_versions

  namespace        = var.namespace
  path             = "cotrain/${each.key}"
  items_wo         = jsonencode(var.secrets[each.key])
  items_wo_version = each.value

  depends_on = [nomad_namespace.runs]
}

resource "nomad_job" "console" {
  for_each = toset(local.job)

  jobspec          = file("${local.nomad}/cotrain.nomad.hcl")
  detach           = false
  purge_on_destroy = true

  hcl2 {
    vars = {
      namespace      = nomad_namespace.console[each.key].name
      runs_namespace = var.namespace
      datacenters    = jsonencode(var.console.datacenters)
      node_pool      = var.console.node_pool
      image          = var.console.image
      driver         = var.console.driver
      command        = var.console.command
      user           = var.console.user
      port           = tostring(var.console.port)
      public_url     = var.console.public_url
      env            = jsonencode(var.console.environment)
      data_volume    = var.console.data_volume
      storage_volume = var.storage_volume
      replicas       = tostring(var.console.replicas)
      canaries       = var.console.replicas > 1 ? "1" : "0"
      vault_address  = var.console.vault_address
      consul         = tostring(var.console.consul)
      service_tags   = jsonencode(var.console.service_tags)
      cpu            = tostring(var.console.cpu)
      memory         = tostring(var.console.memory)
    }
  }

  # The deployment gives up before Terraform does, and says why.
  timeouts {
    create = "12m"
    update = "12m"
  }

  # It starts with its rights, and ends before they do.
  depends_on = [nomad_acl_policy.console, nomad_acl_policy.storage, nomad_acl_policy.runs]
}
