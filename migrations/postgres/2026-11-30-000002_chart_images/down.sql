DROP TABLE chart_publisher;
DROP TABLE chart_image;
