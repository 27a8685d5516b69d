<?php
// What a blog would do: say who it is, and keep something.
header('Content-Type: text/plain');
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
echo 'PHP as ', posix_getpwuid(posix_geteuid())['name'], ', for ', $_SERVER['REQUEST_URI'], "\n";
