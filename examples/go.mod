module github.com/pgpool-go/pgpool/examples

go 1.26

replace github.com/pgpool-go/pgpool => ../
