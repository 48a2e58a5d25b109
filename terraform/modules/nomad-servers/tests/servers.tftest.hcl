variables {
  machines = {
    server-1 = { address = "10.0.0.1" }
    server-2 = { address = "10.0.0.2" }
    server-3 = { address = "10.0.0.3" }
  }
  package = "nomad=1.11.3-1"
}

run "servers_find_each_other" {
  command = plan

  assert {
    condition     = alltrue([for script in values(output.scripts) : strcontains(script, "[\"10.0.0.1\",\"10.0.0.2\",\"10.0.0.3\"]") && strcontains(script, "bootstrap_expect = 3") && strcontains(script, "verify_server_hostname = true")])
    error_message = "A server does not know the others."
  }

  assert {
    condition     = [for name, script in output.scripts : name if strcontains(script, "FIRST='1'")] == ["server-1"]
    error_message = "One server begins a cluster, the first by name."
  }

  assert {
    condition     = strcontains(output.scripts["server-2"], "enforcement          = \"strict\"")
    error_message = "Nodes need an introduction."
  }

  assert {
    condition     = output.api == "https://10.0.0.1:4646,https://10.0.0.2:4646,https://10.0.0.3:4646"
    error_message = "NOMAD_ADDR names all."
  }
}

run "commands_of_a_secret_store_survive_the_shell" {
  command = plan

  variables {
    keys = { get = "store get 'a b'", put = "store put", nodes_put = "store put nodes" }
  }

  assert {
    condition     = strcontains(output.scripts["server-1"], "KEYS_GET='store get '\\''a b'\\'''")
    error_message = "A quote ends the setting."
  }
}

run "the_first_is_one_of_them" {
  command = plan

  variables {
    first = "server-9"
  }

  expect_failures = [var.first]
}
