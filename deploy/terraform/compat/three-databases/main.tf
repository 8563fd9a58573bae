locals {
  seconds = tonumber(trimsuffix(trimsuffix(trimsuffix(var.migration_timeout, "s"), "m"), "h")) * { s = 1, m = 60, h = 3600 }[substr(var.migration_timeout, -1, 1)]

  databases = {
    control_plane = {
      enabled = var.run_control_plane_migrations
      host    = var.control_plane_db_host, port = var.control_plane_db_port, name = var.control_plane_db_name, schema = var.control_plane_db_schema
      image   = var.control_plane_migration_image, user_id = 1000, baseline = null
    }
    supabase = {
      enabled = var.run_supabase_migrations
      host    = var.supabase_db_host, port = var.supabase_db_port, name = var.supabase_db_name, schema = null
      image   = var.supabase_migration_image, user_id = 999, baseline = var.supabase_baseline
    }
    components_v2 = {
      enabled = var.run_components_v2_migrations
      host    = var.components_v2_db_host, port = var.components_v2_db_port, name = var.components_v2_db_name, schema = null
      image   = var.components_v2_migration_image, user_id = 999, baseline = var.components_v2_baseline
    }
  }

  # The operator's engine Psql keeps a history. Without the operator every file runs every time, as it always did here; but
  # one that fails changes nothing, and a folder without files is an error.
  psql   = <<-EOT
    set -eu
    export PGHOST="$DB_HOST" PGPORT="$DB_PORT" PGDATABASE="$DB_DATABASE" PGUSER="$DB_USER" PGPASSWORD="$DB_PASSWORD"
    set -- /migrations/*.sql
    [ -e "$1" ] || { echo "the image has no /migrations/*.sql" >&2; exit 1; }
    for file in "$@"; do
      echo "applying $file"
      psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --single-transaction --file="$file"
    done
  EOT
  engine = { for key in keys(local.databases) : key => key != "control_plane" && var.mode == "operator" ? "Psql" : "Command" }
  command = {
    control_plane = ["npm", "run", "migrate"]
    supabase      = var.mode == "operator" ? [] : ["sh", "-c", local.psql]
    components_v2 = var.mode == "operator" ? [] : ["sh", "-c", local.psql]
  }
}

module "migrations" {
  source = "../.."

  namespace            = var.namespace
  service_account_name = var.service_account_name
  mode                 = var.mode
  kubectl              = var.kubectl
  timeout              = var.migration_timeout
  wait_for_completion  = var.wait_for_completion
  resources            = var.migration_resources
  labels               = var.labels
  images               = { runner = var.runner_image }

  migrations = { for key, database in local.databases : key => {
    enabled  = database.enabled
    image    = database.image
    engine   = local.engine[key]
    command  = local.command[key]
    baseline = var.mode == "operator" ? database.baseline : null
    env      = key == "control_plane" ? [{ name = "NODE_ENV", value = "production" }] : []
    database = {
      host                 = database.host
      port                 = database.port
      name                 = database.name
      schema               = database.schema
      credentials_revision = var.credentials_revision
    }
    runner = {
      active_deadline_seconds   = local.seconds
      wait_for_database_seconds = floor(local.seconds / 2)
      backoff_limit             = 3
      run_as_user               = local.engine[key] == "Command" ? database.user_id : null
    }
  } }

  credentials = {
    control_plane = { user = var.control_plane_db_user, password = var.control_plane_db_password }
    supabase      = { user = var.supabase_db_user, password = var.supabase_db_password }
    components_v2 = { user = var.components_v2_db_user, password = var.components_v2_db_password }
  }
}

# Nothing here reads it; it is kept for those who did.
resource "kubectl_manifest" "migration_config" {
  server_side_apply = true
  force_conflicts   = true
  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = local.config_map, namespace = var.namespace, labels = var.labels }
    data = merge({ migration_timeout = var.migration_timeout }, [for key, database in local.databases : {
      "${key}_db_host" = database.host
      "${key}_db_port" = tostring(database.port)
      "${key}_db_name" = database.name
    }]...)
  })
}
