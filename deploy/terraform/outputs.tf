output "names" {
  description = "Name of the DBUpgrade of each migration (in mode `job`: the prefix of the names of its Jobs), by its key."
  value       = local.names
}

output "namespaces" {
  description = "Namespace of each migration, by its key."
  value       = { for key in keys(local.names) : key => var.namespace }
}

output "uids" {
  description = "UID of each DBUpgrade, by the key of its migration; null in mode `job`."
  value       = { for key in keys(local.names) : key => try(kubectl_manifest.dbupgrade[key].uid, null) }
}

output "job_names" {
  description = "Name of the Job of each migration's last run, by its key. Null in mode `operator` with `wait_for_completion = false`, because the operator chooses the names."
  value       = local.job_names
}

output "credentials_secret_name" {
  description = "Name of the Secret with the credentials from `credentials`; null if there are none."
  value       = length(local.with_credentials) > 0 ? local.secret : null
}

output "migration_jobs_summary" {
  description = "All migrations, including those that are not enabled: `enabled`, `mode`, `name`, `namespace`, `job_name`, `image`, `engine`, `database` (where the module knows it)."
  value = { for key, migration in var.migrations : key => {
    enabled   = migration.enabled
    mode      = var.mode
    name      = try(local.names[key], null)
    namespace = migration.enabled ? var.namespace : null
    job_name  = try(local.job_names[key], null)
    image     = migration.image
    engine    = migration.engine
    database  = migration.database.host == null ? null : "${migration.database.host}:${migration.database.port}/${migration.database.name}"
  } }
}

output "helpful_commands" {
  description = "Commands for a shell: `list_jobs`, `list_pods`, and `KEY_logs` for each migration. They work as long as Kubernetes keeps the Jobs."
  value = merge(
    {
      list_jobs = "${local.command_begin} get jobs --selector '${local.all}'"
      list_pods = "${local.command_begin} get pods --selector '${local.all}'"
    },
    { for key in keys(local.names) : "${key}_logs" => "${local.command_begin} logs --selector '${local.selectors[key]}' --all-containers --prefix --tail=-1" },
  )
}

locals {
  job_names = { for key in keys(local.names) : key => (
    var.mode == "job" ? "${local.names[key]}-${substr(sha256(terraform_data.job[key].id), 0, 10)}"
    : try(data.external.run[key].result.job_name, null)
  ) }

  command_begin = "${var.kubectl} --namespace ${var.namespace}"
  selectors = { for key in keys(local.names) : key => (
    var.mode == "job" ? "${local.group}/migration=${local.names[key]}" : "${local.group}/uid=${kubectl_manifest.dbupgrade[key].uid}"
  ) }
  all = (
    var.mode == "job" ? "${local.group}/instance=${local.labels["${local.group}/instance"]}"
    : "${local.group}/uid in (${join(",", concat([for upgrade in values(kubectl_manifest.dbupgrade) : upgrade.uid], length(local.upgrades) > 0 ? [] : ["none"]))})"
  )
}
