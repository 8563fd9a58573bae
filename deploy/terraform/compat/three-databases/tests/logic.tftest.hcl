# The variables of the module that this one replaces, and what becomes of them. Nothing is applied.

mock_provider "kubectl" {}
mock_provider "external" {}

variables {
  namespace                 = "ananta"
  control_plane_db_host     = "cp"
  control_plane_db_user     = "cp_user"
  control_plane_db_password = "hunter1"
  supabase_db_host          = "sb"
  supabase_db_user          = "sb_user"
  supabase_db_password      = "hunter2"
  components_v2_db_host     = "cv"
  components_v2_db_user     = "cv_user"
  components_v2_db_password = "hunter3"
}

run "defaults" {
  command = plan

  assert {
    condition = { for key, summary in output.migration_jobs_summary : key => summary.database } == {
      control_plane = "cp:5432/arc_saas", supabase = "sb:27432/postgres", components_v2 = "cv:27010/components_v2"
    }
    error_message = "Ports or names of databases are wrong."
  }
  assert {
    condition     = output.control_plane_job_namespace == "ananta" && output.migration_secret_name == "migration-db-credentials" && output.migration_config_map_name == "migration-config"
    error_message = "The outputs are wrong."
  }
  assert {
    condition     = yamldecode(kubectl_manifest.migration_config.yaml_body).data.supabase_db_port == "27432"
    error_message = "The ConfigMap is wrong."
  }
}

run "selective" {
  command = plan

  variables {
    run_supabase_migrations      = false
    run_components_v2_migrations = false
  }

  assert {
    condition     = output.migration_jobs_summary.supabase == { enabled = false } && output.supabase_job_name == null && output.helpful_commands.supabase_logs == "N/A"
    error_message = "What does not run has empty outputs."
  }
  assert {
    condition     = output.migration_jobs_summary.control_plane.enabled
    error_message = "The other one runs."
  }
}

run "without_operator" {
  command = plan

  variables {
    mode = "job"
  }

  assert {
    condition     = output.control_plane_job_namespace == "ananta"
    error_message = "It plans without the operator."
  }
}
