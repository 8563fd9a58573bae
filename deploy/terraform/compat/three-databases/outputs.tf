output "control_plane_job_name" {
  description = "Name of the Job that migrated the control plane; null when it does not run."
  value       = try(module.migrations.job_names["control_plane"], null)
}

output "control_plane_job_namespace" {
  description = "Namespace of the control plane's migration; null when it does not run."
  value       = try(module.migrations.namespaces["control_plane"], null)
}

output "control_plane_job_uid" {
  description = "Uid of the control plane's DBUpgrade, which owns the Job; null in mode `job`."
  value       = try(module.migrations.uids["control_plane"], null)
}

output "control_plane_job_status" {
  description = "`name` and `namespace` of the control plane's Job, and a `command` that prints its status; null when it does not run."
  value       = try(local.status["control_plane"], null)
}

output "supabase_job_name" {
  description = "Name of the Job that migrated Supabase; null when it does not run."
  value       = try(module.migrations.job_names["supabase"], null)
}

output "supabase_job_namespace" {
  description = "Namespace of Supabase's migration; null when it does not run."
  value       = try(module.migrations.namespaces["supabase"], null)
}

output "supabase_job_uid" {
  description = "Uid of Supabase's DBUpgrade, which owns the Job; null in mode `job`."
  value       = try(module.migrations.uids["supabase"], null)
}

output "supabase_job_status" {
  description = "`name` and `namespace` of Supabase's Job, and a `command` that prints its status; null when it does not run."
  value       = try(local.status["supabase"], null)
}

output "components_v2_job_name" {
  description = "Name of the Job that migrated components-v2; null when it does not run."
  value       = try(module.migrations.job_names["components_v2"], null)
}

output "components_v2_job_namespace" {
  description = "Namespace of components-v2's migration; null when it does not run."
  value       = try(module.migrations.namespaces["components_v2"], null)
}

output "components_v2_job_uid" {
  description = "Uid of components-v2's DBUpgrade, which owns the Job; null in mode `job`."
  value       = try(module.migrations.uids["components_v2"], null)
}

output "components_v2_job_status" {
  description = "`name` and `namespace` of components-v2's Job, and a `command` that prints its status; null when it does not run."
  value       = try(local.status["components_v2"], null)
}

output "migration_config_map_name" {
  description = "Name of a ConfigMap with hosts, ports and names of the databases."
  value       = local.config_map
}

output "migration_secret_name" {
  description = "Name of the Secret with users and passwords; null when nothing runs."
  value       = module.migrations.credentials_secret_name
}

output "migration_jobs_summary" {
  description = "By migration: `enabled`, `job_name`, `namespace` and `database`; of one that does not run, `enabled` only."
  value = { for key, summary in module.migrations.migration_jobs_summary : key => merge(
    { enabled = summary.enabled },
    summary.enabled ? { job_name = summary.job_name, namespace = summary.namespace, database = summary.database } : {},
  ) }
}

output "helpful_commands" {
  description = "Commands for a shell: `list_jobs`, `list_pods`, and `control_plane_logs`, `supabase_logs`, `components_v2_logs` (`N/A` when it does not run)."
  value       = merge({ for key in keys(local.databases) : "${key}_logs" => "N/A" }, module.migrations.helpful_commands)
}

locals {
  config_map = "migration-config"

  status = { for key, name in module.migrations.job_names : key => {
    name      = name
    namespace = var.namespace
    # A Job goes some time after its end, a DBUpgrade stays.
    command = "${var.kubectl} --namespace ${var.namespace} get ${var.mode == "job" ? "job ${name}" : "dbupgrade ${module.migrations.names[key]}"} --ignore-not-found --output jsonpath='{.status}'"
  } }
}
