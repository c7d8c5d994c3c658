module github.com/pgpool-go/pgpool/bench

go 1.26

replace github.com/pgpool-go/pgpool => ../
