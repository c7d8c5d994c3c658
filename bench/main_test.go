package main

import (
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
