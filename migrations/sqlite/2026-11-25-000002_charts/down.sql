DROP TABLE chart_event;
DROP TABLE chart_unlisted;
DROP TABLE chart;
