# What every mode shares: which migrations there are, and the spec of each as the operator's CRD has it.

locals {
  group      = "dbupgrade.subbug.learning"
  migrations = { for key, migration in var.migrations : key => migration if migration.enabled }
  names      = { for key in keys(local.migrations) : key => "${var.name_prefix}${replace(key, "_", "-")}" }

  labels = merge(var.labels, {
    "app.kubernetes.io/component"  = "migrations"
    "app.kubernetes.io/managed-by" = "terraform"
    "${local.group}/instance"      = "${var.name_prefix}migrations"
  })

  seconds = { s = 1, m = 60, h = 3600 }
  timeout = tonumber(trimsuffix(trimsuffix(trimsuffix(var.timeout, "s"), "m"), "h")) * local.seconds[substr(var.timeout, -1, 1)]

  secret = "${var.name_prefix}migration-db-credentials"
  # Migrations whose user and password the module writes into its own Secret.
  with_credentials = { for key, migration in local.migrations : key => migration if migration.database.credentials_revision != null }
}

# Each block of a spec, with everything that a user may leave out; what is null or empty is dropped further down.
locals {
  migrations_blocks = { for key, migration in local.migrations : key => {
    image            = migration.image
    dir              = migration.dir
    engine           = migration.engine == "Atlas" ? null : migration.engine
    delivery         = migration.delivery
    baseline         = migration.baseline
    execOrder        = migration.exec_order
    revisionsSchema  = migration.revisions_schema
    command          = migration.command
    args             = migration.args
    imagePullSecrets = [for name in migration.image_pull_secrets : { name = name }]
    env = [for variable in migration.env : merge(
      { name = variable.name },
      variable.value == null ? {} : { value = variable.value },
      variable.secret == null ? {} : { valueFrom = { secretKeyRef = variable.secret } },
      variable.config_map == null ? {} : { valueFrom = { configMapKeyRef = variable.config_map } },
    )]
  } }

  in_parts = { for key, migration in local.migrations : key => migration.database.url_secret == null && migration.database.aws == null }
  connections = { for key, migration in local.migrations : key => { for name, value in {
    urlSecretRef      = migration.database.url_secret
    host              = local.in_parts[key] ? migration.database.host : null
    port              = local.in_parts[key] ? migration.database.port : null
    database          = local.in_parts[key] ? migration.database.name : null
    schema            = local.in_parts[key] ? migration.database.schema : null
    sslMode           = local.in_parts[key] ? migration.database.ssl_mode : null
    caSecretRef       = local.in_parts[key] ? migration.database.ca_secret : null
    userSecretRef     = local.in_parts[key] ? coalesce(migration.database.user_secret, { name = local.secret, key = "${key}_db_user" }) : null
    passwordSecretRef = local.in_parts[key] ? coalesce(migration.database.password_secret, { name = local.secret, key = "${key}_db_password" }) : null
  } : name => value if value != null } }

  database_blocks = { for key, migration in local.migrations : key => {
    type       = migration.database.type
    connection = local.connections[key]
    aws = migration.database.aws == null ? null : { for name, value in {
      roleArn  = migration.database.aws.role_arn
      region   = migration.database.aws.region
      host     = migration.database.aws.host
      port     = migration.database.aws.port
      dbName   = migration.database.aws.db_name
      username = migration.database.aws.username
      dialect  = migration.database.aws.dialect
    } : name => value if value != null }
  } }

  runner_blocks = { for key, migration in local.migrations : key => {
    activeDeadlineSeconds   = migration.runner.active_deadline_seconds
    ttlSecondsAfterFinished = migration.runner.ttl_seconds_after_finished
    waitForDatabaseSeconds  = migration.runner.wait_for_database_seconds
    backoffLimit            = migration.runner.backoff_limit
    runAsUser               = migration.runner.run_as_user
    runAsGroup              = migration.runner.run_as_group
    serviceAccountName      = migration.runner.service_account_name != null ? migration.runner.service_account_name : var.service_account_name
    imagePullSecrets        = [for name in migration.runner.image_pull_secrets : { name = name }]
    nodeSelector            = migration.runner.node_selector
    priorityClassName       = migration.runner.priority_class_name
    podLabels               = merge(var.labels, migration.runner.pod_labels)
    podAnnotations          = migration.runner.pod_annotations
    resources = { for kind, amounts in(migration.runner.resources != null ? migration.runner.resources : var.resources) :
      kind => amounts if length(amounts) > 0
    }
  } }
}

locals {
  # `length` fails for numbers and booleans, which are never empty.
  own = { for key in keys(local.migrations) : key => {
    migrations = { for name, value in local.migrations_blocks[key] : name => value if value != null && try(length(value) > 0, true) }
    database   = { for name, value in local.database_blocks[key] : name => value if value != null && try(length(value) > 0, true) }
    runner     = { for name, value in local.runner_blocks[key] : name => value if value != null && try(length(value) > 0, true) }
  } }

  more = { for key, migration in local.migrations : key => yamldecode(migration.spec) }

  specs = { for key in keys(local.migrations) : key => { for name, value in merge(
    local.own[key],
    local.more[key],
    { for block in ["migrations", "database", "runner"] : block => merge(local.own[key][block], try(local.more[key][block], {})) },
  ) : name => value if try(length(value) > 0, true) } }
}
