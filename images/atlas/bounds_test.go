package main

import (
	"slices"
	"testing"
	"time"
)

func TestWhatASessionIsTold(t *testing.T) {
	for _, c := range []struct {
		dialect  dialect
		bounds   bounds
		commands []string
	}{
		{postgres, bounds{}, nil},
		{postgres, bounds{unlimited: true}, []string{"SET lock_timeout = 0"}},
		{postgres, bounds{lock: 5 * time.Second}, []string{"SET lock_timeout = 5000"}},
		{postgres, bounds{lock: time.Microsecond}, []string{"SET lock_timeout = 1"}},
		{postgres, bounds{statement: time.Minute}, []string{"SET statement_timeout = 60000"}},
		{mysqlAndMariaDB, bounds{unlimited: true, statement: time.Minute}, nil},
		{mysqlAndMariaDB, bounds{lock: 1500 * time.Millisecond}, []string{"SET SESSION lock_wait_timeout = LEAST(@@SESSION.lock_wait_timeout, 2), " +
			"SESSION innodb_lock_wait_timeout = LEAST(@@SESSION.innodb_lock_wait_timeout, 2)"}},
	} {
		if told := c.dialect.bound(c.bounds); !slices.Equal(told, c.commands) {
			t.Errorf("%+v: %q", c.bounds, told)
		}
	}
}

func TestWhichStatementsWaitWithoutALimit(t *testing.T) {
	for query, waits := range map[string]bool{
		"create index concurrently i on t (a)":                    true,
		"CREATE UNIQUE\nINDEX  CONCURRENTLY IF NOT EXISTS i ON t": true,
		"drop index concurrently if exists i":                     true,
		"reindex index concurrently i":                            true,
		"REINDEX (VERBOSE) TABLE CONCURRENTLY t":                  true,
		"reindex (concurrently, verbose) table t":                 true,
		"alter table t detach partition p concurrently":           true,
		"alter table t add column concurrently int":               false,
		"alter table t add column a int -- not concurrently":      false,
		"create index i on t (concurrently)":                      false,
		"refresh materialized view concurrently v":                false,
	} {
		if concurrent.MatchString(query) != waits {
			t.Errorf("%q", query)
		}
	}
}
