# mode = "operator": one DBUpgrade for each migration, and a wait for each.

locals {
  upgrades = var.mode == "operator" ? local.migrations : {}
}

resource "kubectl_manifest" "dbupgrade" {
  for_each = local.upgrades

  server_side_apply = true
  force_conflicts   = true
  yaml_body = yamlencode({
    apiVersion = "${local.group}/v1alpha1"
    kind       = "DBUpgrade"
    metadata = merge(
      { name = local.names[each.key], namespace = var.namespace, labels = local.labels },
      each.value.retry == null ? {} : { annotations = { "${local.group}/retry" = each.value.retry } },
    )
    spec = local.specs[each.key]
  })

  lifecycle {
    replace_triggered_by = [terraform_data.database[each.key]]
  }

  depends_on = [terraform_data.namespace, terraform_data.credentials]
}

# The operator rejects another database for a DBUpgrade, so the DBUpgrade is replaced.
resource "terraform_data" "database" {
  for_each = local.upgrades

  input = local.specs[each.key].database
}

# Replaced, and so waited for again, with every change of the DBUpgrade; and when the wait before it failed.
resource "terraform_data" "wait" {
  for_each = var.wait_for_completion ? local.upgrades : {}

  provisioner "local-exec" {
    interpreter = ["sh", "-c"]
    command     = "sh \"$SCRIPT\" ${var.kubectl}"
    environment = {
      SCRIPT    = "${path.module}/scripts/wait.sh"
      NAMESPACE = var.namespace
      NAME      = local.names[each.key]
      SECONDS_  = local.timeout
    }
  }

  lifecycle {
    replace_triggered_by = [kubectl_manifest.dbupgrade[each.key]]
  }
}

# The operator names its Jobs, one a run; after the wait, the last one is known.
data "external" "run" {
  for_each = var.wait_for_completion ? local.upgrades : {}

  program = ["sh", "-c", join(" ", [
    var.kubectl, "--namespace", var.namespace, "get dbupgrades.${local.group}", local.names[each.key], "--ignore-not-found",
    "--output 'go-template={\"job_name\":\"{{with .status.run}}{{.jobName}}{{end}}\"}'", "&& echo",
  ])]

  depends_on = [terraform_data.wait]
}
