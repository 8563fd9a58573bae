# mode = "job": one Job for each run, made without the operator, with the pod that the operator would make.

locals {
  jobs = var.mode == "job" ? local.migrations : {}

  # Generated from the operator's own code, so that both run the same: see deploy/terraform_module.py.
  operator = jsondecode(file("${path.module}/files/operator.json"))

  runners = { for key in keys(local.jobs) : key => try(local.specs[key].runner, {}) }
  folders = { for key in keys(local.jobs) : key => trim(try(local.specs[key].migrations.dir, "/migrations"), "/") }
  extract = { for key in keys(local.jobs) : key => try(local.specs[key].migrations.delivery, "Extract") == "Extract" }
  pull_secrets = { for key in keys(local.jobs) : key => distinct(concat(
    [for reference in try(local.specs[key].migrations.imagePullSecrets, []) : reference.name],
    [for reference in try(local.runners[key].imagePullSecrets, []) : reference.name],
  )) }
}

# How each engine is told where the database is. Kubernetes expands `$(…)` in values, so that `$` is doubled in what users give.
locals {
  connection = { for key in keys(local.jobs) : key => merge(
    { urlSecretRef = null, host = null, port = null, database = null, schema = null, sslMode = null, caSecretRef = null, userSecretRef = null, passwordSecretRef = null },
    local.specs[key].database.connection,
  ) }

  authority_files = { for key, given in local.connection : key => given.caSecretRef == null ? null : "${local.operator.authority.path}/${local.operator.authority.file}" }

  servers = { for key, given in local.connection : key => given.host == null ? {} : { HOST = given.host, PORT = tostring(given.port), DATABASE = given.database } }

  parts = { for key, migration in local.jobs : key => { for name, value in merge(
    { DB_SCHEMA = local.connection[key].schema, DB_SSLMODE = local.connection[key].sslMode, DB_SSLROOTCERT = local.authority_files[key] },
    { for name, value in local.servers[key] : "DB_${name}" => value },
  ) : name => value if value != null } }

  secret_parts = { for key, migration in local.jobs : key => { for name, reference in {
    DATABASE_URL = local.connection[key].urlSecretRef
    DB_USER      = local.connection[key].userSecretRef
    DB_PASSWORD  = local.connection[key].passwordSecretRef
  } : name => reference if reference != null } }

  connection_env = { for key in keys(local.jobs) : key => concat(
    [for name, value in local.parts[key] : { name = name, value = replace(value, "$", "$$") }],
    [for name, reference in local.secret_parts[key] : {
      name = name, valueFrom = { secretKeyRef = { name = reference.name, key = reference.key } }
    }],
  ) }

  # The same under the names that the runner reads.
  runner_parts = { for key, given in local.connection : key => { for name, value in merge(
    { for name, value in local.servers[key] : { HOST = "DB_HOST", PORT = "DB_PORT", DATABASE = "DB_NAME" }[name] => value },
    { DB_SCHEMA = given.schema, DB_SSLMODE = given.sslMode, PGSSLROOTCERT = local.authority_files[key] },
  ) : name => value if value != null } }

  runner_env = { for key, given in local.connection : key => concat(
    [for name, value in local.runner_parts[key] : { name = name, value = replace(value, "$", "$$") }],
    [for name, reference in { DATABASE_URL = given.urlSecretRef, DB_USER = given.userSecretRef, DB_PASSWORD = given.passwordSecretRef } : {
      name                                 = name, valueFrom = { secretKeyRef = { name = reference.name, key = reference.key } }
    } if reference != null],
    [{ name = "MIGRATE_WAIT_TIMEOUT", value = "${local.wait_seconds[key]}s" }, local.home],
  ) }
}

locals {
  temporary = { name = "tmp", mountPath = "/tmp" }
  home      = { name = "HOME", value = "/tmp" }

  defaults = { for key in keys(local.jobs) : key => merge(
    local.operator.container,
    { resources = try(local.runners[key].resources, {}) },
  ) }

  migrations_mounts = { for key in keys(local.jobs) : key => {
    name = "work", subPath = "${local.extract[key] ? "${local.operator.files}/" : ""}${local.folders[key]}", mountPath = "/migrations", readOnly = true
  } }

  authority_mounts = { for key, given in local.connection : key => [
    for reference in [given.caSecretRef] : { name = "authority", mountPath = local.operator.authority.path, readOnly = true } if reference != null
  ] }

  runner = { for key, migration in local.jobs : key => merge(local.defaults[key], {
    name  = "migrate"
    image = var.images.runner
    args  = local.operator.runnerArguments
    env = concat(local.runner_env[key], [for name, value in merge(local.operator.runnerVariables, { MIGRATE_ENGINE = migration.engine }) : { name = name, value = value }], [
      for name, field in { ATLAS_REVISIONS_SCHEMA = "revisionsSchema", MIGRATE_BASELINE_VERSION = "baseline", MIGRATE_EXEC_ORDER = "execOrder" } :
      { name = name, value = local.specs[key].migrations[field] } if can(local.specs[key].migrations[field])
      ], [
      for name, field in { MIGRATE_LOCK_TIMEOUT = "lockTimeout", MIGRATE_STATEMENT_TIMEOUT = "statementTimeout" } :
      { name = name, value = local.specs[key].policy[field] } if can(local.specs[key].policy[field])
    ], [{ name = "MIGRATE_DEADLINE", value = "${try(local.runners[key].activeDeadlineSeconds, 600)}s" }])
    volumeMounts = concat([local.migrations_mounts[key], local.temporary], local.authority_mounts[key])
  }) }

  command = { for key in keys(local.jobs) : key => { for name, value in merge(local.defaults[key], {
    name    = "migrate"
    image   = local.specs[key].migrations.image
    command = [for word in try(local.specs[key].migrations.command, []) : replace(word, "$", "$$")]
    args    = [for word in try(local.specs[key].migrations.args, []) : replace(word, "$", "$$")]
    env = concat([local.home], local.connection_env[key], [
      for options in [join(" ", [
        for name, field in { lock_timeout = "lockTimeout", statement_timeout = "statementTimeout" } :
        "-c ${name}=${replace(local.specs[key].policy[field], "/m$/", "min")}" if can(local.specs[key].policy[field])
      ])] : { name = "PGOPTIONS", value = options } if options != ""
      ], [for variable in try(local.specs[key].migrations.env, []) :
      can(variable.value) ? { name = variable.name, value = replace(variable.value, "$", "$$") } : variable
    ])
    volumeMounts = concat([local.temporary], local.authority_mounts[key])
  }) : name => value if try(length(value) > 0, true) } }

  fetch = { for key in keys(local.jobs) : key => merge(local.defaults[key], {
    name    = "fetch-migrations"
    image   = var.images.crane
    command = local.operator.fetchCommand
    env = [
      { name = "IMAGE", value = local.specs[key].migrations.image },
      { name = "FOLDER", value = "/${local.folders[key]}" },
      { name = "INSECURE", value = "false" },
      local.home,
    ]
    volumeMounts = concat(
      [{ name = "work", mountPath = local.operator.workPath }, local.temporary],
      length(local.pull_secrets[key]) > 0 ? [{ name = "pull-secrets", mountPath = local.operator.pullSecretsPath }] : [],
    )
  }) }

  # A URL may be that of another database than PostgreSQL, so that there only who asks for the wait gets it.
  wait_seconds = { for key in keys(local.jobs) : key => try(local.runners[key].waitForDatabaseSeconds, local.connection[key].host == null ? 0 : 300) }
  wait = { for key in keys(local.jobs) : key => merge(local.defaults[key], {
    name  = "wait-for-database"
    image = var.images.runner
    args  = ["migrate", "wait"]
    # Without a mode, the engines that are waited for take a server without TLS, too.
    env = concat(local.runner_env[key], [{ name = "MIGRATE_FORMAT", value = "json" }], [
      for mode in ["prefer"] : { name = "DB_SSLMODE", value = mode } if local.connection[key].host != null && local.connection[key].sslMode == null
    ])
    volumeMounts = concat([local.temporary], local.authority_mounts[key])
  }) }

  # A conditional wants one type on both sides, so that lists of unlike objects are filtered instead.
  folder_volumes = { for key, migration in local.jobs : key => concat(
    [for volume in [{ name = "work", emptyDir = { sizeLimit = "512Mi" } }] : volume if local.extract[key]],
    [for volume in [{ name = "work", image = { reference = local.specs[key].migrations.image, pullPolicy = "IfNotPresent" } }] : volume if !local.extract[key]],
    [for sources in [[for index, name in local.pull_secrets[key] : {
      secret = { name = name, optional = true, items = [{ key = ".dockerconfigjson", path = "${format("%03d", index)}/config.json" }] }
    }]] : { name = "pull-secrets", projected = { sources = sources } } if local.extract[key] && length(sources) > 0],
  ) }
  volumes = { for key, migration in local.jobs : key => concat(
    [local.operator.temporaryVolume],
    [for volume in local.folder_volumes[key] : volume if migration.engine != "Command"],
    [for reference in [local.connection[key].caSecretRef] : {
      name = "authority", secret = { secretName = reference.name, items = [{ key = reference.key, path = local.operator.authority.file }] }
    } if reference != null],
  ) }

  pods = { for key, migration in local.jobs : key => { for name, value in merge(local.operator.pod, {
    securityContext = merge(
      local.operator.pod.securityContext,
      { for field in ["runAsUser", "runAsGroup"] : field => local.runners[key][field] if can(local.runners[key][field]) },
    )
    # Encoded, because containers differ in their attributes and a conditional wants one type.
    initContainers = [for text in concat(
      migration.engine != "Command" && local.extract[key] ? [jsonencode(local.fetch[key])] : [],
      migration.engine == "Command" && local.wait_seconds[key] > 0 ? [jsonencode(local.wait[key])] : [],
    ) : jsondecode(text)]
    containers         = [jsondecode(migration.engine == "Command" ? jsonencode(local.command[key]) : jsonencode(local.runner[key]))]
    volumes            = local.volumes[key]
    imagePullSecrets   = [for name in local.pull_secrets[key] : { name = name }]
    serviceAccountName = try(local.runners[key].serviceAccountName, "")
    nodeSelector       = try(local.runners[key].nodeSelector, {})
    tolerations        = try(local.runners[key].tolerations, [])
    affinity           = try(local.runners[key].affinity, {})
    priorityClassName  = try(local.runners[key].priorityClassName, "")
  }) : name => value if try(length(value) > 0, true) } }

  job_labels = { for key in keys(local.jobs) : key => merge(local.labels, { "${local.group}/migration" = local.names[key] }) }

  job_manifests = { for key, migration in local.jobs : key => {
    apiVersion = "batch/v1"
    kind       = "Job"
    spec = merge(local.operator.job, {
      backoffLimit            = try(local.runners[key].backoffLimit, 3)
      activeDeadlineSeconds   = try(local.runners[key].activeDeadlineSeconds, 600)
      ttlSecondsAfterFinished = try(local.runners[key].ttlSecondsAfterFinished, 300)
      # The runner says by its exit code that nothing was done; of a command every failure may be one.
      podFailurePolicy = { rules = concat(local.operator.job.podFailurePolicy.rules, [for engine in [migration.engine] : {
        action      = "FailJob"
        onExitCodes = { containerName = "migrate", operator = "NotIn", values = [local.operator.unreachableExitCode] }
      } if engine != "Command"]) }
      template = {
        metadata = {
          labels = merge(try(local.runners[key].podLabels, {}), local.job_labels[key], local.operator.podLabels)
          annotations = merge(
            try(local.runners[key].podAnnotations, {}),
            local.operator.podAnnotations,
          )
        }
        spec = local.pods[key]
      }
    })
  } }
}

# A run: replaced, and so run again, with another image, folder, command or database; and when the run before it failed.
# Kubernetes removes a Job some time after its end, so it must not be a resource that Terraform would miss.
resource "terraform_data" "job" {
  for_each = local.jobs

  triggers_replace = {
    migrations = { for name, value in local.specs[each.key].migrations : name => value if !contains(["delivery", "imagePullSecrets", "env"], name) }
    database   = local.specs[each.key].database
    retry      = each.value.retry
  }
  input = { kubectl = var.kubectl, namespace = var.namespace, name = local.names[each.key] }

  provisioner "local-exec" {
    interpreter = ["sh", "-c"]
    command     = "sh \"$SCRIPT\" run ${var.kubectl}"
    environment = {
      SCRIPT    = "${path.module}/scripts/job.sh"
      NAMESPACE = var.namespace
      NAME      = "${local.names[each.key]}-${substr(sha256(self.id), 0, 10)}"
      SELECTOR  = "${local.group}/migration=${local.names[each.key]}"
      WAIT      = var.wait_for_completion
      SECONDS_  = local.timeout
      MANIFEST = jsonencode(merge(local.job_manifests[each.key], {
        metadata = { name = "${local.names[each.key]}-${substr(sha256(self.id), 0, 10)}", namespace = var.namespace, labels = local.job_labels[each.key] }
      }))
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["sh", "-c"]
    command     = "sh \"$SCRIPT\" remove ${self.input.kubectl}"
    environment = {
      SCRIPT    = "${path.module}/scripts/job.sh"
      NAMESPACE = self.input.namespace
      NAME      = "${self.input.name}-${substr(sha256(self.id), 0, 10)}"
    }
  }

  depends_on = [terraform_data.namespace, terraform_data.credentials]
}
