# What the module makes of its variables in mode job. Nothing is applied.

mock_provider "kubectl" {}
mock_provider "external" {}

variables {
  mode = "job"
  migrations = {
    shop = { image = "shop:1", dir = "/sql/", database = { url_secret = { name = "shop-db" } }, baseline = "2025" }
    billing = {
      image              = "billing:1"
      engine             = "Command"
      command            = ["npm", "run", "$(migrate)"]
      image_pull_secrets = ["registry"]
      database = {
        host            = "postgres"
        name            = "billing"
        user_secret     = { name = "billing-db" }
        password_secret = { name = "billing-db" }
      }
    }
  }
}

run "jobs" {
  command = plan

  assert {
    condition     = length(kubectl_manifest.dbupgrade) == 0 && keys(terraform_data.job) == ["billing", "shop"]
    error_message = "Mode job makes Jobs only."
  }
  assert {
    condition = alltrue([for job in values(local.job_manifests) : (
      job.spec.backoffLimit == 3 && job.spec.ttlSecondsAfterFinished == 300 && job.spec.activeDeadlineSeconds == 600
      && job.spec.template.spec.restartPolicy == "Never" && job.spec.podReplacementPolicy == "Failed"
    )])
    error_message = "Tries, time to live or limit are wrong."
  }
  assert {
    condition = alltrue(flatten([for job in values(local.job_manifests) : [
      job.spec.template.spec.securityContext.runAsNonRoot,
      job.spec.template.spec.automountServiceAccountToken == false,
      job.spec.template.metadata.labels["sidecar.istio.io/inject"] == "false",
      [for container in concat(job.spec.template.spec.containers, job.spec.template.spec.initContainers) :
        jsonencode(container.securityContext) == jsonencode({
          allowPrivilegeEscalation = false, readOnlyRootFilesystem = true, capabilities = { drop = ["ALL"] }
      })],
    ]]))
    error_message = "The pods must be as the operator's."
  }
  assert {
    condition     = local.job_manifests["billing"].spec.template.spec.initContainers[*].name == ["wait-for-database"] && local.job_manifests["shop"].spec.template.spec.initContainers[*].name == ["fetch-migrations"]
    error_message = "The init containers are wrong."
  }
  assert {
    condition     = local.job_manifests["billing"].spec.template.spec.containers[0].command == ["npm", "run", "$$(migrate)"]
    error_message = "Kubernetes must not expand what users give."
  }
  assert {
    condition = { for variable in local.job_manifests["billing"].spec.template.spec.containers[0].env : variable.name => try(variable.value, variable.valueFrom.secretKeyRef.key) } == {
      DB_HOST = "postgres", DB_PORT = "5432", DB_DATABASE = "billing", DB_USER = "username", DB_PASSWORD = "password", HOME = "/tmp"
    }
    error_message = "The environment is wrong."
  }
  assert {
    condition     = local.job_manifests["shop"].spec.template.spec.containers[0].volumeMounts[0].subPath == "files/sql" && contains(local.job_manifests["shop"].spec.template.spec.containers[0].env, { name = "MIGRATE_BASELINE_VERSION", value = "2025" })
    error_message = "Atlas gets the folder of the image, and the baseline."
  }
}

run "order_and_schema_of_the_history" {
  command = plan

  variables {
    migrations = { shop = {
      image = "shop:1", exec_order = "NonLinear", revisions_schema = "public", database = { url_secret = { name = "shop-db" } }
    } }
  }
  assert {
    condition = { for variable in local.job_manifests["shop"].spec.template.spec.containers[0].env : variable.name => try(variable.value, "") if contains(["MIGRATE_EXEC_ORDER", "ATLAS_REVISIONS_SCHEMA"], variable.name) } == {
      MIGRATE_EXEC_ORDER = "NonLinear", ATLAS_REVISIONS_SCHEMA = "public"
    }
    error_message = "The runner is told the order and the schema of the history."
  }
}

run "no_aws" {
  command = plan

  variables {
    migrations = { shop = {
      image    = "shop:1"
      database = { type = "awsRds", aws = { role_arn = "arn:aws:iam::123456789012:role/a", region = "eu-west-1", host = "h", db_name = "d", username = "u" } }
    } }
  }
  expect_failures = [var.mode]
}

run "certificates" {
  command = plan

  variables {
    migrations = { for engine in ["Atlas", "Psql", "Command"] : lower(engine) => {
      image   = "shop:1"
      engine  = engine
      command = engine == "Command" ? ["npm"] : []
      database = {
        host            = "postgres"
        name            = "shop"
        ssl_mode        = "verify-full"
        ca_secret       = { name = "shop-ca" }
        user_secret     = { name = "shop-db" }
        password_secret = { name = "shop-db" }
      }
    } }
  }

  assert {
    condition = alltrue([for job in values(local.job_manifests) : contains(
      [for volume in job.spec.template.spec.volumes : jsonencode(volume)],
      jsonencode({ name = "authority", secret = { secretName = "shop-ca", items = [{ key = "ca.crt", path = "ca.crt" }] } })
      ) && contains(
      [for mount in job.spec.template.spec.containers[0].volumeMounts : jsonencode(mount)],
      jsonencode({ name = "authority", mountPath = "/etc/dbupgrade-ca", readOnly = true })
    )])
    error_message = "The certificates are not mounted."
  }
  assert {
    condition = { for key, name in { atlas = "PGSSLROOTCERT", psql = "PGSSLROOTCERT", command = "DB_SSLROOTCERT" } : key => one([
      for variable in local.job_manifests[key].spec.template.spec.containers[0].env : variable.value if variable.name == name
    ]) } == { atlas = "/etc/dbupgrade-ca/ca.crt", psql = "/etc/dbupgrade-ca/ca.crt", command = "/etc/dbupgrade-ca/ca.crt" }
    error_message = "The variables are wrong."
  }
}

run "no_checks" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", database = { url_secret = { name = "a" } }, spec = "{checks: {}}" } }
  }
  expect_failures = [var.mode]
}

run "every_engine_with_parts" {
  command = plan

  variables {
    migrations = {
      atlas = { image = "shop:1", database = { host = "postgres", name = "shop", schema = "app", ssl_mode = "require", credentials_revision = "1" }, spec = "{policy: {lockTimeout: 2s}, runner: {activeDeadlineSeconds: 90}}" }
      psql  = { image = "shop:1", engine = "Psql", baseline = "2025", database = { host = "postgres", name = "shop", schema = "app", credentials_revision = "1" } }
    }
    credentials = { atlas = { user = "a", password = "b" }, psql = { user = "a", password = "b" } }
  }

  assert {
    condition = { for variable in local.job_manifests["atlas"].spec.template.spec.containers[0].env : variable.name => try(variable.value, variable.valueFrom.secretKeyRef.key) } == {
      DB_HOST       = "postgres", DB_PORT = "5432", DB_NAME = "shop", DB_USER = "atlas_db_user", DB_PASSWORD = "atlas_db_password", DB_SCHEMA = "app", DB_SSLMODE = "require"
      MIGRATION_DIR = "/migrations", MIGRATE_ENGINE = "Atlas", MIGRATE_FORMAT = "json", MIGRATE_LOCK_TIMEOUT = "2s", MIGRATE_DEADLINE = "90s", MIGRATE_WAIT_TIMEOUT = "300s", HOME = "/tmp"
    }
    error_message = "The environment of the runner is wrong."
  }
  assert {
    condition     = alltrue([for job in values(local.job_manifests) : job.spec.template.spec.initContainers[*].name == ["fetch-migrations"]])
    error_message = "The runner waits for the database itself."
  }
  assert {
    condition = { for key, job in local.job_manifests : key => [for rule in job.spec.podFailurePolicy.rules : rule.action] } == {
      atlas = ["Ignore", "FailJob"], psql = ["Ignore", "FailJob"]
    }
    error_message = "A statement that failed is not tried again."
  }
  assert {
    condition = { for variable in local.job_manifests["psql"].spec.template.spec.containers[0].env : variable.name => try(variable.value, variable.valueFrom.secretKeyRef.key) } == {
      DB_HOST                  = "postgres", DB_PORT = "5432", DB_NAME = "shop", DB_USER = "psql_db_user", DB_PASSWORD = "psql_db_password", DB_SCHEMA = "app"
      MIGRATION_DIR            = "/migrations", MIGRATE_ENGINE = "Psql", MIGRATE_FORMAT = "json", MIGRATE_DEADLINE = "600s", MIGRATE_WAIT_TIMEOUT = "300s", HOME = "/tmp"
      MIGRATE_BASELINE_VERSION = "2025"
    }
    error_message = "The environment of the runner is wrong with engine Psql."
  }
}

run "limits_of_a_command" {
  command = plan

  variables {
    migrations = { shop = {
      image = "shop:1", engine = "Command", command = ["migrate"], database = { url_secret = { name = "shop-db" } }
      spec  = "{policy: {lockTimeout: 500ms, statementTimeout: 2m}}"
    } }
  }

  assert {
    condition     = contains(local.job_manifests["shop"].spec.template.spec.containers[0].env, { name = "PGOPTIONS", value = "-c lock_timeout=500ms -c statement_timeout=2min" })
    error_message = "Clients of PostgreSQL get the limits of the policy."
  }
}
