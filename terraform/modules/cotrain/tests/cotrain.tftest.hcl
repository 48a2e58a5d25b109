mock_provider "nomad" {}

variables {
  secrets = {}
}

run "names_are_those_of_cluster_setup" {
  variables {
    namespace          = "training"
    project_namespaces = { team-a = "Runs of team A" }
    storage_volume     = "cotrain"
    node_pool          = "gpu"
  }

  assert {
    condition     = toset([for policy in values(nomad_acl_policy.console) : policy.name]) == toset(["cotrain-console", "cotrain-console-team-a"]) && toset([for policy in values(nomad_acl_policy.runs) : policy.name]) == toset(["cotrain-runs", "cotrain-runs-team-a"])
    error_message = "Policies of the first namespace have no suffix."
  }

  assert {
    condition     = length(nomad_acl_role.console.policy) == 3 && length(nomad_job.console) == 0
    error_message = "The role has every policy of the console."
  }

  assert {
    condition     = strcontains(nomad_acl_policy.runs["team-a"].rules_hcl, "namespace \"team-a\"") && !strcontains(nomad_acl_policy.console["team-a"].rules_hcl, "node_pool")
    error_message = "Rights are those of the namespace."
  }
}

run "the_default_namespace_is_there" {
  assert {
    condition     = length(nomad_namespace.runs) == 0
    error_message = "Nomad has the namespace default."
  }
}

run "the_console_is_a_job_by_its_identity" {
  variables {
    console = { image = "registry.example/cotrain:1.0", public_url = "https://train.example.com", environment = { COTRAIN_PROXY_TRUSTED = "10.0.0.0/16" } }
  }

  assert {
    condition     = nomad_acl_policy.console["default"].job_acl[0].job_id == "cotrain" && nomad_acl_policy.console["default"].job_acl[0].namespace == "cotrain"
    error_message = "The policy is for the console's job alone."
  }

  assert {
    condition     = nomad_job.console["cotrain"].hcl2[0].vars["env"] == "{\"COTRAIN_PROXY_TRUSTED\":\"10.0.0.0/16\"}"
    error_message = "The job has the settings."
  }
}

run "a_secret_in_the_job_is_refused" {
  command = plan

  variables {
    console = { image = "registry.example/cotrain:1.0", public_url = "https://train.example.com", environment = { COTRAIN_PROXY_TRUSTED = "10.0.0.0/16", COTRAIN_OIDC_CLIENT_SECRET = "hunter2" } }
  }

  expect_failures = [var.console]
}

run "plain_http_is_refused" {
  command = plan

  variables {
    console = { image = "registry.example/cotrain:1.0", public_url = "https://train.example.com" }
  }

  expect_failures = [var.console]
}

run "two_consoles_need_postgresql" {
  command = plan

  variables {
    console = { image = "registry.example/cotrain:1.0", public_url = "https://train.example.com", replicas = 2, environment = { COTRAIN_PROXY_TRUSTED = "10.0.0.0/16" } }
  }

  expect_failures = [var.console]
}

run "runs_do_not_share_the_consoles_namespace" {
  command = plan

  variables {
    namespace = "cotrain"
    console   = { image = "registry.example/cotrain:1.0", public_url = "https://train.example.com", environment = { COTRAIN_PROXY_TRUSTED = "10.0.0.0/16" } }
  }

  expect_failures = [var.console]
}
