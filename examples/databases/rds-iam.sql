-- After postgresql.sql, on RDS or Aurora: the user of the migrations logs in with an IAM token, and no longer with a password.
GRANT rds_iam TO shop_migrations;
